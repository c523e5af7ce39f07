//! Aggregation for `reader.rs`.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::{ArrayView, ArrayView4, ArrayView5};
use serde::Deserialize;
use serde_json::{Value, json};
use voxpatch::aggregate::Aggregator;
use voxpatch::aggregate::{AggregateOptions, Blend, Output, Plan, Values};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{
    ConvertOptions, Dataset, Dtype, Element, Frame, Pool, Region, Result, View, convert,
};

const SOURCE: &str = "scan/image";
const OUTPUT: &str = "scan/blended";
/// Patches per batch with more than one thread.
const BATCH: usize = 4;

/// The fields of `blending.Job` that matter here.
#[derive(Deserialize)]
pub struct Job {
    predictions: PathBuf,
    channels: usize,
    patch: [usize; 3],
    overlap: [usize; 3],
    /// The folder of the dataset.
    pub folder: PathBuf,
}

/// The distinct predictions, `n, c, z, y, x`; patch `n` has number `n` modulo their count.
pub struct Predictions {
    voxels: Vec<f32>,
    /// Shape of one prediction.
    shape: [usize; 4],
}

impl Predictions {
    pub fn load(job: &Job) -> std::io::Result<Self> {
        let [z, y, x] = job.patch;
        let mut file = File::open(&job.predictions)?;
        let bytes = usize::try_from(file.metadata()?.len()).map_err(std::io::Error::other)?;
        let mut voxels = vec![0_f32; bytes / size_of::<f32>()];
        file.read_exact(bytemuck::cast_slice_mut(&mut voxels))?;
        Ok(Self { voxels, shape: [job.channels, z, y, x] })
    }

    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn distinct(&self, number: u64) -> usize {
        let count = (self.voxels.len() / self.len()) as u64;
        usize::try_from(number % count).expect("there are few")
    }

    fn one(&self, number: u64) -> ArrayView4<'_, f32> {
        let voxels = &self.voxels[self.distinct(number) * self.len()..][..self.len()];
        ArrayView::from_shape(self.shape, voxels).expect("as many voxels")
    }

    /// The predictions of consecutive numbers, if they are contiguous in memory.
    fn several(&self, numbers: &[u64]) -> Option<ArrayView5<'_, f32>> {
        let first = self.distinct(numbers[0]);
        let follows = |(n, number): (usize, &u64)| self.distinct(*number) == first + n;
        let [c, z, y, x] = self.shape;
        numbers.iter().enumerate().all(follows).then(|| {
            let voxels = &self.voxels[first * self.len()..][..numbers.len() * self.len()];
            ArrayView::from_shape([numbers.len(), c, z, y, x], voxels).expect("as many voxels")
        })
    }
}

fn dataset(folder: &Path) -> PathBuf {
    folder.join("scans.zarr")
}

/// Converts the scan that is predicted.
pub fn convert_source(scan: &Path, folder: &Path) -> Result<Value> {
    let (dataset, pool) = (Dataset::create(dataset(folder))?, Pool::new(1)?);
    let scan = voxpatch::scan::open(scan)?;
    convert(scan, &dataset, &SOURCE.parse()?, &ConvertOptions::default(), &pool, &|_| true)?;
    Ok(json!({}))
}

/// Blends the predictions into a volume: one patch at a time with one thread, a few at a time with
/// the threads of a pool.
pub fn aggregate(
    job: &Job,
    predictions: &Predictions,
    mode: &str,
    argmax: bool,
    threads: usize,
) -> Result<Value> {
    let begun = Instant::now();
    let (dataset, pool) = (Dataset::open(dataset(&job.folder))?, Pool::new(threads)?);
    let sampler = GridSampler::new(job.patch, Overlap::Voxels(job.overlap))?;
    let values = if argmax { Values::Argmax } else { Values::Float32 };
    let output = Output::new(OUTPUT.parse()?, job.channels, values);
    let plan = Plan::new(&dataset.volume(SOURCE)?, &sampler, mode.parse::<Blend>()?, vec![output])?;
    let numbers: Vec<u64> = plan.order().collect();
    let aggregator = Aggregator::begin(&dataset, plan, &AggregateOptions::default())?;
    if threads == 1 {
        for number in &numbers {
            aggregator.add(*number, &[predictions.one(*number)])?;
        }
    } else {
        for numbers in numbers.chunks(BATCH) {
            match predictions.several(numbers) {
                Some(several) => aggregator.add_many(numbers, &[several], &pool)?,
                None => numbers.iter().try_for_each(|number| {
                    let one = predictions.one(*number).insert_axis(ndarray::Axis(0));
                    aggregator.add_many(&[*number], &[one], &pool)
                })?,
            }
        }
    }
    let adding = begun.elapsed().as_secs_f64();
    let report = aggregator.finish(&pool, &|_| true)?;
    Ok(json!({
        "adding_s": adding,
        "finishing_s": begun.elapsed().as_secs_f64() - adding,
        "patches": numbers.len(),
        "stored_bytes": report.outputs[0].stored_bytes,
        "memory": report.memory,
    }))
}

/// Writes the voxels of the result, `c, z, y, x`, without a header.
pub fn dump(folder: &Path, path: &Path) -> std::result::Result<Value, Box<dyn std::error::Error>> {
    let volume = Dataset::open(dataset(folder))?.volume(OUTPUT)?;
    let mut file = BufWriter::new(File::create(path)?);
    for channel in 0..volume.channels() {
        let view = volume.view().frame(Frame { time: 0, channel })?;
        match volume.dtype() {
            Dtype::Float32 => planes::<f32>(&view, &mut file)?,
            _ => planes::<u8>(&view, &mut file)?,
        }
    }
    file.flush()?;
    Ok(json!({}))
}

/// Writes all planes of one channel, a few at a time.
fn planes<T: Element + bytemuck::Pod>(
    view: &View,
    out: &mut impl Write,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    const PLANES: usize = 64;
    let [z, y, x] = view.volume().shape();
    for first in (0..z).step_by(PLANES) {
        let region = Region::new([i64::try_from(first)?, 0, 0], [PLANES.min(z - first), y, x]);
        let voxels = view.read::<T>(region)?;
        out.write_all(bytemuck::cast_slice(voxels.as_slice().expect("contiguous")))?;
    }
    Ok(())
}
