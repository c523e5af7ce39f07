//! Rotations in the form of NIfTI's `qform`: three components of a unit quaternion, and a sign.
//!
//! Formulas: `nifti1.h`, "method 2", and the usual extraction from the largest component.

/// How far `b² + c² + d²` may be from 1 and still count as 1, as in nibabel. Rounded to single
/// precision, half a turn must stay half a turn; the price is an error of up to 1.2e-3 in the
/// angle.
const TOLERANCE: f64 = 3.0 * f32::EPSILON as f64;

/// How much longer than 1 `(b, c, d)` may be after two or three roundings. Beyond [`TOLERANCE`],
/// nibabel refuses (`fillpositive` of `nibabel/quaternions.py`), and `nifti_clib` divides by any
/// length (`nifti_quatern_to_mat44` of `nifti1_io.c`).
const EXCESS: f64 = 1e-6;

/// The rotation matrix of a quaternion given by `b, c, d`; its first component follows from the
/// length 1. If they are too long for that, the first component is 0, and they are divided by their
/// length. `None` if they cannot be part of a unit quaternion.
pub(super) fn rotation([b, c, d]: [f64; 3]) -> Option<[[f64; 3]; 3]> {
    let rest = 1.0 - (b * b + c * c + d * d);
    if rest.is_nan() || rest < 1.0 - (1.0 + EXCESS).powi(2) {
        return None;
    }
    let a = if rest < TOLERANCE { 0.0 } else { rest.sqrt() };
    // The division corrects a sum of squares that is tolerated but not exactly 1.
    let s = 2.0 / (a * a + b * b + c * c + d * d);
    Some([
        [1.0 - s * (c * c + d * d), s * (b * c - a * d), s * (b * d + a * c)],
        [s * (b * c + a * d), 1.0 - s * (b * b + d * d), s * (c * d - a * b)],
        [s * (b * d - a * c), s * (c * d + a * b), 1.0 - s * (b * b + c * c)],
    ])
}

/// Whether `b, c, d` are longer than nibabel accepts.
pub(super) fn is_too_long([b, c, d]: [f64; 3]) -> bool {
    b * b + c * c + d * d - 1.0 >= TOLERANCE
}

/// `b, c, d` of a proper rotation matrix, with a first component that is not negative.
pub(super) fn components(r: [[f64; 3]; 3]) -> [f64; 3] {
    let squares = [
        1.0 + r[0][0] + r[1][1] + r[2][2],
        1.0 + r[0][0] - r[1][1] - r[2][2],
        1.0 - r[0][0] + r[1][1] - r[2][2],
        1.0 - r[0][0] - r[1][1] + r[2][2],
    ];
    let largest = (1..4).fold(0, |best, i| if squares[i] > squares[best] { i } else { best });
    // The denominator is safe: four times the largest component is at least 2.
    let s = 2.0 * squares[largest].sqrt();
    let [yz, zx, xy] = [r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]];
    let [xy_sum, zx_sum, yz_sum] = [r[1][0] + r[0][1], r[0][2] + r[2][0], r[2][1] + r[1][2]];
    let [a, b, c, d] = match largest {
        0 => [s / 4.0, yz / s, zx / s, xy / s],
        1 => [yz / s, s / 4.0, xy_sum / s, zx_sum / s],
        2 => [zx / s, xy_sum / s, s / 4.0, yz_sum / s],
        _ => [xy / s, zx_sum / s, yz_sum / s, s / 4.0],
    };
    if a < 0.0 { [-b, -c, -d] } else { [b, c, d] }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_4;

    use super::*;

    /// Rotation about one axis, by the textbook.
    fn about(axis: usize, angle: f64) -> [[f64; 3]; 3] {
        let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut r = [[0.0; 3]; 3];
        r[axis][axis] = 1.0;
        (r[u][u], r[u][v]) = (angle.cos(), -angle.sin());
        (r[v][u], r[v][v]) = (angle.sin(), angle.cos());
        r
    }

    fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
        std::array::from_fn(|i| {
            std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum::<f64>())
        })
    }

    #[test]
    fn every_rotation_survives_its_components() {
        for i in -4..=4 {
            for j in -4..=4 {
                let (p, q) = (f64::from(i) * FRAC_PI_4, f64::from(j) * FRAC_PI_4 + 1e-3);
                let r = product(product(about(0, p), about(1, q)), about(2, p - q));
                let back = rotation(components(r)).expect("a rotation");
                // Next to half a turn the first component is taken for zero.
                let half_turn = 1.0 + r[0][0] + r[1][1] + r[2][2] < 8.0 * TOLERANCE;
                let error = if half_turn { 2.0 * TOLERANCE.sqrt() } else { 1e-9 };
                for (back, r) in back.iter().flatten().zip(r.iter().flatten()) {
                    assert!((back - r).abs() < error, "{back} {r}");
                }
            }
        }
        assert_eq!(rotation([0.0; 3]), Some(about(0, 0.0)));
    }

    #[test]
    fn components_that_rounding_has_made_too_long_are_those_of_the_same_turn() {
        for part in [[1.0, 0.0, 0.0], [0.6, 0.0, -0.8], [2.0 / 3.0, -2.0 / 3.0, 1.0 / 3.0]] {
            let turn = rotation(part).expect("half a turn");
            for excess in [1e-8, 1e-7, 5e-7, 9.9e-7] {
                let long = part.map(|value| value * (1.0 + excess));
                let found = rotation(long).expect("half a turn");
                for (found, turn) in found.iter().flatten().zip(turn.iter().flatten()) {
                    assert!((found - turn).abs() < 1e-12, "{found} {turn}");
                }
                assert_eq!(is_too_long(long), excess > 2e-7);
            }
            assert!(rotation(part.map(|value| value * (1.0 + 1.1e-6))).is_none());
        }
    }

    #[test]
    fn impossible_components_are_refused() {
        assert!(rotation([0.8, 0.8, 0.0]).is_none());
        assert!(rotation([f64::NAN, 0.0, 0.0]).is_none());
        assert!(rotation([f64::INFINITY, 0.0, 0.0]).is_none());
        assert!(rotation([1.0 + 1e-7, 0.0, 0.0]).is_some());
    }
}
