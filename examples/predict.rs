//! Predicts a volume patch by patch: `cargo run --release --example predict -- scans.zarr`
//!
//! The predictions are stored as `SUBJECT/bright`. To have a program predict, in any language, see
//! `voxpatch aggregate --help`.
#![allow(clippy::print_stdout, reason = "what an example is for")]

mod phantom;

use std::path::Path;

use ndarray::{Array3, Array4, Axis, stack};
use voxpatch::aggregate::{AggregateOptions, Aggregator, Blend, Output, Plan, Unfinished, Values};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{Pool, Region, Result, VolumeName};

#[allow(dead_code, reason = "the tests call run")]
fn main() -> Result<()> {
    run(std::env::args_os().nth(1).as_deref().map(Path::new))
}

/// Predicts the first volume of a store that is no prediction of this program.
pub(crate) fn run(store: Option<&Path>) -> Result<()> {
    let (dataset, _folder) = phantom::open(store)?;
    let is_scan = |name: &VolumeName| name.image() != "bright";
    let Some(name) = dataset.volumes()?.into_iter().find(is_scan) else { return Ok(()) };
    let volume = dataset.open_volume(&name)?;
    let view = volume.view().scaled();

    let patch = volume.shape().map(|length| length.min(32));
    let sampler = GridSampler::new(patch, Overlap::Fraction([0.5; 3]))?;
    let bright = VolumeName::new(name.subject(), "bright")?;
    let output = Output::new(bright.clone(), 2, Values::Argmax);
    let plan = Plan::new(&volume, &sampler, Blend::Gaussian { sigma_scale: 0.125 }, vec![output])?;

    // What an earlier run left unfinished is thrown away; Resume would go on with it.
    let options = AggregateOptions::default().unfinished(Unfinished::Restart);
    let aggregator = Aggregator::begin(&dataset, plan, &options)?;
    for number in aggregator.remaining() {
        let region = aggregator.plan().grid().region(number).expect("a patch of the plan");
        let scores = model(&view.read(region)?);
        aggregator.add(number, &[scores.view()])?;
    }
    let report = aggregator.finish(&Pool::new(2)?, &|_bytes| true)?;
    println!("{} patches in {:.2} s", report.patches, report.seconds);

    let predicted = dataset.open_volume(&bright)?;
    let labels = predicted.read::<u8>(Region::whole(predicted.shape()))?;
    let share = labels.iter().filter(|label| **label == 1).count() * 100 / labels.len();
    println!("{bright}: {share} % of the voxels are bright");
    Ok(())
}

/// Scores of two classes, `c, z, y, x`: darker and brighter than water.
fn model(patch: &Array3<f32>) -> Array4<f32> {
    stack![Axis(0), -patch, patch.clone()]
}
