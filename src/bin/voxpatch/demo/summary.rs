//! What a demo did, in words.

use voxpatch::bench::Labels;

use super::Outcome;
use crate::args::Demo;
use crate::bench::speed;
use crate::output::{self, bytes, ratio, shape};

#[allow(clippy::cast_precision_loss)]
pub fn text(outcome: &Outcome, args: &Demo) -> String {
    let Outcome { convert, streamed: (patches, seconds), predict, export, verify, .. } = outcome;
    let [raw, stored, file] =
        [convert.raw_bytes, convert.stored_bytes, export.file_bytes].map(bytes);
    let (patch, packed) = (shape(args.patch), ratio(convert.raw_bytes, convert.stored_bytes));
    let rate = |n: f64, seconds: f64| format!("{:.0} patches/s", n / seconds.max(1e-9));
    let predicted = rate(predict.patches as f64, predict.seconds);
    let facts = output::facts(&[
        ("convert", format!("{raw} to {stored}, {packed}, in {:.2} s", convert.seconds)),
        ("layout", format!("{}, for random patches of {patch}", output::layout(&convert.layout))),
        ("stream", format!("{patches} patches, read ahead: {}", rate(*patches as f64, *seconds))),
        ("predict", format!("mean of 3x3x3 voxels, {} patches: {predicted}", predict.patches)),
        ("export", format!("{file} again: every voxel equals the scan's")),
        ("verify", output::count(verify.volumes.len(), "volume") + ": every byte was read again"),
    ]);
    let timed = outcome.bench.volumes.iter().map(|v| speed(&Labels::of(&v.rows), &v.rows));
    let scan = args.scan.as_ref().map_or("SCAN.nii.gz".into(), |scan| scan.display().to_string());
    let next = match &args.out {
        Some(store) => format!("info {}", store.join(&convert.name).display()),
        None => format!("convert {scan} --out scans.zarr --patch {patch}"),
    };
    format!("{facts}\n\n{}\n\nNext: voxpatch {next}", timed.collect::<String>())
}
