//! Whether images of a subject are of one grid.

use crate::error::show;
use crate::store::Volume;
use crate::{Affine, Error, Result};

/// Farther apart than this part of the finest spacing, two voxels are not at one place. What comes
/// of `f32` and quaternions on the way is far less.
const SAME_PLACE: f64 = 0.01;

/// Refuses two images in which one region is not the same place.
pub(super) fn check_grids(a: &Volume, b: &Volume) -> Result<()> {
    let finest = a.spacing().mm().into_iter().fold(f64::INFINITY, f64::min);
    let apart = apart(a.affine(), b.affine(), a.shape());
    let differ = if a.shape() != b.shape() {
        format!("their shapes are {} and {}", show(&a.shape()), show(&b.shape()))
    } else if apart.iter().all(|mm| *mm <= SAME_PLACE * finest) {
        return Ok(());
    } else {
        let most = apart.into_iter().fold(0.0, f64::max);
        format!("their affines put voxels up to {most:.3} mm apart")
    };
    let reason = format!(
        "{differ}, so that one region is not one place in both; bring them to one grid first"
    );
    Err(Error::invalid("images", format!("{} and {}", a.name(), b.name()), reason))
}

/// Millimetres between where two affines put each corner voxel, which is where they differ most.
#[allow(clippy::cast_precision_loss)]
fn apart(a: &Affine, b: &Affine, shape: [usize; 3]) -> [f64; 8] {
    std::array::from_fn(|corner| {
        let at = std::array::from_fn(|axis| {
            let last = shape[axis].saturating_sub(1) as f64;
            if corner >> axis & 1 == 1 { last } else { 0.0 }
        });
        let (a, b) = (a.world(at), b.world(at));
        (a[0] - b[0]).hypot(a[1] - b[1]).hypot(a[2] - b[2])
    })
}
