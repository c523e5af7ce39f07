//! A pass of a model over the whole volume: its patches in, two classes out, each voxel compared
//! with what the source gives plane by plane.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ndarray::ArrayView4;
use serde::Serialize;
use voxpatch::aggregate::{AggregateOptions, Aggregator, Blend, Output, Plan, Unfinished, Values};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::scan::nifti::MappedNifti;
use voxpatch::{Dataset, Element, Pool, Region, Statistics, Volume, VolumeName};

use super::smooth::{Smooth, scores};
use crate::interrupt::Interrupt;
use crate::output;

/// The model sees a voxel to each side: with so many shared, none that counts is at a border.
const OVERLAP: usize = 2;
/// Patches are not to be flatter, or most of what is predicted would be cut off.
const LEAST_PATCH: usize = 8;

/// What was aggregated, and what it took. Every voxel was that of the source's dense result.
#[derive(Serialize)]
pub struct Pass {
    /// The volume that was made.
    pub name: String,
    /// Shape of a patch, `z, y, x`.
    pub patch: [usize; 3],
    pub overlap: [usize; 3],
    pub patches: u64,
    pub threads: usize,
    /// From the first patch to the published volume.
    pub seconds: f64,
    pub patches_per_second: f64,
    /// The most bytes of sums that were held.
    pub peak_bytes: u64,
    /// Bytes of the class scores of the volume, which a dense aggregation holds.
    pub dense_bytes: u64,
    /// Voxels equal to those of the source's dense result: all of them.
    pub checked_voxels: u64,
}

/// The name of the volume that is made.
pub fn name(image: &VolumeName) -> voxpatch::Result<VolumeName> {
    VolumeName::new(image.subject(), format!("{}-classes", image.image()))
}

pub fn run<T: Element>(
    dataset: &Dataset,
    image: &VolumeName,
    source: &MappedNifti,
    patch: [usize; 3],
    pool: &Pool,
    (quiet, interrupt): (bool, &Interrupt),
) -> anyhow::Result<Pass> {
    let (volume, name, began) = (dataset.open_volume(image)?, name(image)?, Instant::now());
    let shape = volume.shape();
    let patch: [usize; 3] = std::array::from_fn(|a| patch[a].max(LEAST_PATCH).min(shape[a]));
    let overlap = patch.map(|length| OVERLAP.min(length - 1));
    let sampler = GridSampler::new(patch, Overlap::Voxels(overlap))?;
    let threshold = threshold(&volume);
    let output = Output::new(name.clone(), 2, Values::Argmax);
    let plan = Arc::new(Plan::new(&volume, &sampler, Blend::Crop, vec![output])?);
    let options = AggregateOptions { unfinished: Unfinished::Restart, ..Default::default() };
    let aggregator = Aggregator::begin(dataset, Arc::clone(&plan), &options)?;
    predict_all::<T>(&aggregator, &volume, threshold, pool.threads(), (quiet, interrupt))?;
    let report = aggregator.finish(pool, &|_| !interrupt.is_set())?;
    let seconds = began.elapsed().as_secs_f64();
    check::<T>(&dataset.open_volume(&name)?, source, threshold, pool.threads(), interrupt)?;
    let voxels = shape.iter().product::<usize>() as u64;
    Ok(Pass {
        name: name.to_string(),
        patch,
        overlap,
        patches: report.patches,
        threads: pool.threads(),
        seconds,
        #[allow(clippy::cast_precision_loss)]
        patches_per_second: report.patches as f64 / seconds.max(1e-9),
        peak_bytes: report.memory.map_or(0, |memory| memory.peak),
        dense_bytes: voxels * 2 * size_of::<f32>() as u64,
        checked_voxels: voxels,
    })
}

/// The mean of the voxels, so that both classes occur.
#[allow(clippy::cast_possible_truncation)]
fn threshold(volume: &Volume) -> f32 {
    match &volume.attributes().statistics {
        Statistics::Intensity(s) => s.moments.as_ref().map_or(0.0, |moments| moments.mean as f32),
        Statistics::Label(_) => 0.5,
    }
}

/// Each thread takes the next patch, reads it, predicts it, and gives it to the aggregator.
fn predict_all<T: Element>(
    aggregator: &Aggregator,
    volume: &Volume,
    threshold: f32,
    threads: usize,
    (quiet, interrupt): (bool, &Interrupt),
) -> anyhow::Result<()> {
    let numbers: Vec<u64> = aggregator.remaining().collect();
    let (next, grid) = (AtomicUsize::new(0), *aggregator.plan().grid());
    let bar = output::steps(numbers.len(), "aggregate", quiet);
    let [z, y, x] = grid.patch();
    let work = || -> voxpatch::Result<()> {
        let mut model = Model::<T>::new(grid.patch());
        while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
            interrupt.check()?;
            let region = grid.region(*number).unwrap_or_else(|| Region::whole(grid.patch()));
            let predicted = model.predict(volume, region, threshold)?;
            let view = ArrayView4::from_shape((2, z, y, x), predicted).expect("two classes");
            aggregator.add(*number, &[view])?;
            bar.inc(1);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("patches do not panic"))
    })?;
    bar.finish_and_clear();
    Ok(())
}

/// What a thread needs to predict a patch.
struct Model<T> {
    shape: [usize; 3],
    voxels: Vec<T>,
    values: Vec<f32>,
    means: Vec<f32>,
    scores: Vec<f32>,
    smooth: Smooth,
}

impl<T: Element> Model<T> {
    fn new(shape: [usize; 3]) -> Self {
        let [z, y, x] = shape;
        let n = z * y * x;
        Self {
            shape,
            voxels: vec![T::default(); n],
            values: vec![0.0; n],
            means: vec![0.0; y * x],
            scores: vec![0.0; 2 * n],
            smooth: Smooth::new([y, x]),
        }
    }

    /// The scores of both classes, `c, z, y, x`.
    fn predict(
        &mut self,
        volume: &Volume,
        region: Region,
        threshold: f32,
    ) -> voxpatch::Result<&[f32]> {
        volume.read_into(region, &mut self.voxels)?;
        self.values.iter_mut().zip(&self.voxels).for_each(|(value, voxel)| *value = real(*voxel));
        let [depth, y, x] = self.shape;
        let (zeros, ones) = self.scores.split_at_mut(depth * y * x);
        let planes = zeros.chunks_exact_mut(y * x).zip(ones.chunks_exact_mut(y * x));
        for (z, (zeros, ones)) in planes.enumerate() {
            let around = [z.saturating_sub(1), z, (z + 1).min(depth - 1)];
            let around = around.map(|z| &self.values[z * y * x..][..y * x]);
            self.smooth.plane(around, &mut self.means);
            for ((zero, one), mean) in zeros.iter_mut().zip(ones).zip(&self.means) {
                [*zero, *one] = scores(*mean, threshold);
            }
        }
        Ok(&self.scores)
    }
}

/// A voxel as a number that sums stay finite with.
fn real<T: Element>(voxel: T) -> f32 {
    let value = voxel.to_f32();
    if value.is_finite() { value.clamp(-1e30, 1e30) } else { 0.0 }
}

/// Compares every voxel with the source's: a stretch of planes at a time in each thread, three
/// planes of the source at a time in each stretch.
fn check<T: Element>(
    made: &Volume,
    source: &MappedNifti,
    threshold: f32,
    threads: usize,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let [planes, ..] = made.shape();
    let (depth, next) = (made.layout().chunk[0], AtomicUsize::new(0));
    let work = || -> anyhow::Result<()> {
        loop {
            let first = next.fetch_add(depth, Ordering::Relaxed);
            if first >= planes {
                return Ok(());
            }
            interrupt.check()?;
            check_planes::<T>(made, source, threshold, [first, (first + depth).min(planes)])?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("planes do not panic"))
    })
}

fn check_planes<T: Element>(
    made: &Volume,
    source: &MappedNifti,
    threshold: f32,
    [first, end]: [usize; 2],
) -> anyhow::Result<()> {
    let [planes, rows, columns] = made.shape();
    let area = rows * columns;
    let at = |z: usize, depth: usize| {
        let start = i64::try_from(z).expect("less than the length of an axis");
        Region::new([start, 0, 0], [depth, rows, columns])
    };
    let mut labels = vec![0_u8; (end - first) * area];
    made.read_into(at(first, end - first), &mut labels)?;
    let mut voxels = vec![T::default(); area];
    let mut read = |z: usize| -> voxpatch::Result<Vec<f32>> {
        source.read_into(at(z, 1), &mut voxels)?;
        Ok(voxels.iter().map(|voxel| real(*voxel)).collect())
    };
    let mut around = [read(first.saturating_sub(1))?, read(first)?, Vec::new()];
    let (mut smooth, mut means) = (Smooth::new([rows, columns]), vec![0.0; area]);
    for (z, labels) in (first..end).zip(labels.chunks_exact(area)) {
        around[2] = read((z + 1).min(planes - 1))?;
        smooth.plane(around.each_ref().map(Vec::as_slice), &mut means);
        let expected = means.iter().map(|mean| {
            let [zero, one] = scores(*mean, threshold);
            u8::from(one > zero)
        });
        if let Some(n) = expected.zip(labels).position(|(expected, label)| expected != *label) {
            let (y, x) = (n / columns, n % columns);
            anyhow::bail!("{}: voxel {z},{y},{x} is not the dense result's", made.name());
        }
        around.rotate_left(1);
    }
    Ok(())
}

impl Pass {
    /// In a line.
    pub fn text(&self) -> String {
        format!(
            "a model (mean of 3x3x3 voxels, two classes) over {} patches of {}, blended by crop: \
             {:.0} patches/s, {} threads; {} held at most, where all class scores are {}; every voxel \
             equals the dense result",
            self.patches,
            output::shape(self.patch),
            self.patches_per_second,
            self.threads,
            output::bytes(self.peak_bytes),
            output::bytes(self.dense_bytes)
        )
    }
}
