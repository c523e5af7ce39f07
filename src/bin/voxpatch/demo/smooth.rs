//! A model that needs no weights: the mean of 3 x 3 x 3 voxels, and on which side of a threshold it
//! lies.

/// Turns planes of real values into means, one plane at a time. At a border the outermost voxel
/// stands for its missing neighbour. Each sum is taken in one order, wherever it is taken.
pub struct Smooth {
    rows: usize,
    columns: usize,
    /// Sums along z, and along z and y.
    sums: [Vec<f32>; 2],
}

impl Smooth {
    pub fn new([rows, columns]: [usize; 2]) -> Self {
        Self { rows, columns, sums: [(); 2].map(|()| vec![0.0; rows * columns]) }
    }

    /// The means of the middle one of three planes.
    pub fn plane(&mut self, [before, at, after]: [&[f32]; 3], means: &mut [f32]) {
        let Self { rows, columns, sums: [along_z, along_y] } = self;
        let (rows, columns) = (*rows, *columns);
        for (((sum, a), b), c) in along_z.iter_mut().zip(before).zip(at).zip(after) {
            *sum = a + b + c;
        }
        for (y, sums) in along_y.chunks_exact_mut(columns).enumerate() {
            let [a, b, c] = [y.saturating_sub(1), y, (y + 1).min(rows - 1)]
                .map(|y| &along_z[y * columns..][..columns]);
            for (((sum, a), b), c) in sums.iter_mut().zip(a).zip(b).zip(c) {
                *sum = a + b + c;
            }
        }
        let means = means.chunks_exact_mut(columns);
        for (means, sums) in means.zip(along_y.chunks_exact(columns)) {
            let last = columns - 1;
            means[0] = (sums[0] + sums[0] + sums[last.min(1)]) / 27.0;
            means[last] = (sums[last.saturating_sub(1)] + sums[last] + sums[last]) / 27.0;
            for (mean, sums) in means[1..].iter_mut().zip(sums.windows(3)) {
                *mean = (sums[0] + sums[1] + sums[2]) / 27.0;
            }
        }
    }
}

/// What each of the two classes scores where the mean is this.
pub fn scores(mean: f32, threshold: f32) -> [f32; 2] {
    [threshold - mean, mean - threshold]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_that_of_all_neighbours_and_borders_are_repeated() {
        for [rows, columns] in [[1, 1], [1, 4], [4, 1], [2, 2], [3, 5]] {
            #[allow(clippy::cast_precision_loss)]
            let value = |z: usize, y: usize, x: usize| ((z * 7 + y * 13 + x * x * 3) % 11) as f32;
            let plane = |z: usize| -> Vec<f32> {
                (0..rows * columns).map(|n| value(z, n / columns, n % columns)).collect()
            };
            let planes = [0, 1, 2].map(plane);
            let mut means = vec![0.0; rows * columns];
            let around = planes.each_ref().map(Vec::as_slice);
            Smooth::new([rows, columns]).plane(around, &mut means);
            for (n, mean) in means.into_iter().enumerate() {
                let near =
                    |at: usize, length: usize| [at.saturating_sub(1), at, (at + 1).min(length - 1)];
                let mut sum = 0.0;
                for z in 0..3 {
                    for y in near(n / columns, rows) {
                        sum +=
                            near(n % columns, columns).map(|x| value(z, y, x)).iter().sum::<f32>();
                    }
                }
                // Small whole numbers, so that sums are exact in any order.
                assert_eq!(mean.to_bits(), (sum / 27.0).to_bits(), "{rows}x{columns}: {n}");
            }
        }
    }
}
