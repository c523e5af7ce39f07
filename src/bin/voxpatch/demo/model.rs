//! A model that needs no weights: whether the mean of 3 x 3 x 3 voxels is above that of the volume.

use ndarray::{Array3, Axis, stack};
use voxpatch::aggregate::{
    AggregateOptions, AggregateReport, Aggregator, Blend, Output, Plan, Values,
};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{Dataset, Pool, Region, Volume, VolumeName};

use crate::interrupt::Interrupt;

#[allow(clippy::cast_possible_truncation)]
pub fn predict(
    dataset: &Dataset,
    volume: &Volume,
    name: &VolumeName,
    patch: [usize; 3],
    pool: &Pool,
    interrupt: &Interrupt,
) -> anyhow::Result<AggregateReport> {
    // Flatter patches would be cut off for the most part: two voxels that neighbours share are as
    // many as the model sees to each side.
    let patch = std::array::from_fn(|axis| patch[axis].max(8).min(volume.shape()[axis]));
    let sampler = GridSampler::new(patch, Overlap::Voxels(patch.map(|n| 2.min(n - 1))))?;
    let classes = Output::new(name.clone(), 2, Values::Argmax);
    let plan = Plan::new(volume, &sampler, Blend::Crop, vec![classes])?;
    let aggregator = Aggregator::begin(dataset, plan, &AggregateOptions::default())?;
    let mean = volume.z_score().map_or(0.5, |score| score.mean) as f32;
    let scaled = volume.view().scaled();
    for number in aggregator.remaining() {
        interrupt.check()?;
        let region = aggregator.plan().grid().region(number).unwrap_or(Region::whole(patch));
        let above = smooth(scaled.read(region)?) - mean;
        aggregator.add(number, &[stack![Axis(0), -&above, above].view()])?;
    }
    Ok(aggregator.finish(pool, &|_| !interrupt.is_set())?)
}

/// Means of three neighbours along each axis; numbers that are not finite are 0.
fn smooth(mut voxels: Array3<f32>) -> Array3<f32> {
    voxels.mapv_inplace(|voxel| if voxel.is_finite() { voxel } else { 0.0 });
    for axis in [0, 1, 2].map(Axis) {
        let (source, last) = (voxels.clone(), voxels.len_of(axis) - 1);
        for (n, mut plane) in voxels.axis_iter_mut(axis).enumerate() {
            plane += &source.index_axis(axis, n.saturating_sub(1));
            plane += &source.index_axis(axis, last.min(n + 1));
            plane /= 3.0;
        }
    }
    voxels
}
