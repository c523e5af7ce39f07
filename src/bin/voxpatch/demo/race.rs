//! The same patches from the store and from a memory map, compared voxel for voxel, then timed.

use std::time::{Duration, Instant};

use serde::Serialize;
use voxpatch::scan::nifti::MappedNifti;
use voxpatch::{Dataset, Element, ReadCost, Region, Volume, VolumeName};

use crate::interrupt::Interrupt;
use crate::{measure, output};

/// Of each way to read, the fastest of so many passes counts.
const PASSES: usize = 5;
/// Bytes of patches in a pass: enough to be timed, little enough to end soon.
const PASS_BYTES: usize = 192 << 20;
/// Of where the patches start.
const SEED: u64 = 0x5EED;

/// What was compared and measured. All patches are of the first frame.
#[derive(Serialize)]
pub struct Race {
    /// Patches read, all of them equal to the source.
    pub patches: usize,
    /// Bytes of all patches.
    pub bytes: u64,
    pub passes: usize,
    /// What the store did for all patches together.
    pub cost: ReadCost,
    pub rows: Vec<Row>,
}

/// One way to read them.
#[derive(Serialize)]
pub struct Row {
    pub what: &'static str,
    /// Bytes of the file or the shards that the patches come from.
    pub on_disk: u64,
    /// Seconds of the fastest pass.
    pub seconds: f64,
    pub patches_per_second: f64,
    pub bytes_per_second: f64,
}

pub fn run<T: Element>(
    dataset: &Dataset,
    name: &VolumeName,
    source: &MappedNifti,
    patch: [usize; 3],
    interrupt: &Interrupt,
) -> anyhow::Result<Race> {
    let voxels: usize = patch.iter().product();
    let bytes = voxels * size_of::<T>();
    let count = (PASS_BYTES / bytes).clamp(8, 200);
    let regions = measure::random(source.header().shape, patch, count, SEED);
    let volume = dataset.open_volume(name)?;
    let (mut ours, mut theirs) = (vec![T::default(); voxels], vec![T::default(); voxels]);
    let mut cost = ReadCost::default();
    for &region in &regions {
        interrupt.check()?;
        measure::agree(&volume, source, region, [&mut ours, &mut theirs])?;
        cost += volume.cost(region)?;
    }
    let mut best = [Duration::MAX; 3];
    for _ in 0..PASSES {
        interrupt.check()?;
        let fresh = dataset.open_volume(name)?;
        let store = |volume: &Volume, region, out: &mut [T]| volume.read_into(region, out);
        let passes = [
            time(&regions, |region| source.read_into(region, &mut theirs))?,
            time(&regions, |region| store(&volume, region, &mut ours))?,
            time(&regions, |region| store(&fresh, region, &mut ours))?,
        ];
        best = std::array::from_fn(|n| best[n].min(passes[n]));
    }
    let total = (bytes * regions.len()) as u64;
    let header = source.header();
    let plain = (header.plane_bytes() * header.shape[0]) as u64;
    let stored = volume.stored_bytes();
    let rows = [
        ("memory-mapped .nii, rows copied", plain),
        ("voxpatch", stored),
        ("voxpatch, just opened: checksums verified too", stored),
    ];
    let rows = rows.into_iter().zip(best);
    Ok(Race {
        patches: regions.len(),
        bytes: total,
        passes: PASSES,
        cost,
        rows: rows
            .map(|((what, disk), best)| row(what, disk, best, regions.len(), total))
            .collect(),
    })
}

fn time(
    regions: &[Region],
    mut read: impl FnMut(Region) -> voxpatch::Result<()>,
) -> voxpatch::Result<Duration> {
    let began = Instant::now();
    regions.iter().try_for_each(|&region| read(region))?;
    Ok(began.elapsed())
}

#[allow(clippy::cast_precision_loss)]
fn row(what: &'static str, on_disk: u64, best: Duration, patches: usize, bytes: u64) -> Row {
    let seconds = best.as_secs_f64().max(1e-9);
    let (patches_per_second, bytes_per_second) = (patches as f64 / seconds, bytes as f64 / seconds);
    Row { what, on_disk, seconds, patches_per_second, bytes_per_second }
}

impl Race {
    /// The rows as a table.
    pub fn table(&self) -> String {
        let row = |row: &Row| {
            vec![
                row.what.to_owned(),
                output::bytes(row.on_disk),
                format!("{:.0}", row.patches_per_second),
                format!("{}/s", output::bytes_of(row.bytes_per_second)),
            ]
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        output::table(&["read from", "on disk", "patches/s", "voxels read"], &rows)
    }
}
