//! voxpatch's side of `tools/compare`: answers JSON requests, one per line, as `worker.py` does for
//! the other libraries.
//!
//! | `do` | asks for | answers |
//! | --- | --- | --- |
//! | `hello` | | `version` |
//! | `open` | `folder`: a store with the volume `scan/image` | `seconds` |
//! | `pass` | `regions`: starts and shapes, `check` | `seconds`, `digests` if checked |
//! | `train` | `folder`: a store, `subjects`, each with an `image`; `patch`, `per_visit`, `threads`, `check` | `seconds`, `patches`, and if checked `drawn`: subject, start, shape, digest of each |
//! | `convert` | `scan`: a file; `folder`: for the dataset to aggregate into | |
//! | `load` | `job`: of `blending.py` | |
//! | `aggregate` | `job`, its `folder` the same; `mode`, `argmax`, `threads` | `adding_s`, `finishing_s`, `patches`, `stored_bytes`, `memory` |
//! | `dump` | `path`: a file for the voxels that were made, `c, z, y, x` | |
//!
//! Digests are the CRC-32 of the 16-bit voxels. Seconds are those of reading alone.
#![allow(clippy::print_stdout, reason = "the answers")]

mod aggregation;

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use aggregation::{Job, Predictions};
use serde::Deserialize;
use serde_json::{Value, json};
use voxpatch::sample::UniformSampler;
use voxpatch::stream::ImageRequest;
use voxpatch::stream::{PatchStream, StreamOptions};
use voxpatch::{Dataset, Region, Volume};

/// Start and shape, `z, y, x`.
type Box3 = ([i64; 3], [usize; 3]);

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Request {
    Hello,
    Open {
        folder: PathBuf,
    },
    Pass {
        regions: Vec<Box3>,
        check: bool,
    },
    Train {
        folder: PathBuf,
        subjects: Vec<String>,
        patch: [usize; 3],
        per_visit: usize,
        threads: usize,
        check: bool,
    },
    Convert {
        scan: PathBuf,
        folder: PathBuf,
    },
    Load {
        job: Job,
    },
    Aggregate {
        job: Job,
        mode: String,
        argmax: bool,
        threads: usize,
    },
    Dump {
        path: PathBuf,
    },
}

/// The state between requests.
#[derive(Default)]
struct State {
    open: Option<Volume>,
    predictions: Option<Predictions>,
    /// The result of the last aggregation.
    folder: PathBuf,
}

fn digest(voxels: &[i16]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytemuck::cast_slice(voxels));
    crc.sum()
}

/// Reads every region. A timed pass reuses one buffer, as a loader does; a checked pass keeps every
/// patch and compares them after the timing.
fn pass(volume: &Volume, regions: &[Box3], check: bool) -> voxpatch::Result<Value> {
    let regions: Vec<_> = regions.iter().map(|&(start, shape)| Region::new(start, shape)).collect();
    if check {
        let begun = Instant::now();
        let patches: Vec<_> =
            regions.iter().map(|&r| volume.read::<i16>(r)).collect::<voxpatch::Result<_>>()?;
        let seconds = begun.elapsed().as_secs_f64();
        let digests: Vec<_> =
            patches.iter().map(|p| digest(p.as_slice().expect("contiguous"))).collect();
        return Ok(json!({ "seconds": seconds, "digests": digests }));
    }
    let largest = regions.iter().filter_map(Region::voxels).max().unwrap_or(0);
    let mut buffer = vec![0_i16; largest];
    let begun = Instant::now();
    for &region in &regions {
        let out = &mut buffer[..region.voxels().unwrap_or(0)];
        volume.read_into(region, std::hint::black_box(out))?;
    }
    Ok(json!({ "seconds": begun.elapsed().as_secs_f64() }))
}

/// One epoch of a stream of patches for a network, `f32`, by `threads` workers. No patch is kept;
/// the time of a checked epoch includes the check.
fn train(
    dataset: &Dataset,
    subjects: &[String],
    patch: [usize; 3],
    options: &StreamOptions,
    check: bool,
) -> voxpatch::Result<Value> {
    let begun = Instant::now();
    let sampler = Arc::new(UniformSampler::new(patch)?);
    let mut patches = 0_usize;
    let mut drawn = Vec::new();
    for patch in PatchStream::new(dataset, subjects.to_vec(), sampler, options)? {
        let patch = std::hint::black_box(patch?);
        patches += 1;
        if check {
            let voxels = patch.images[0].1.as_array::<f32>().expect("scaled");
            let digest = digest(&integers(voxels.as_slice().expect("contiguous")));
            let region = patch.origin.region;
            drawn.push((patch.origin.subject, region.start, region.shape, digest));
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(json!({ "seconds": seconds, "patches": patches, "drawn": drawn }))
}

/// The voxels of the scan as integers. A voxel that is not an integer gives a number that no scan
/// here contains.
#[allow(clippy::cast_possible_truncation, reason = "compared with what was cast")]
fn integers(voxels: &[f32]) -> Vec<i16> {
    let integer =
        |&v: &f32| if f32::from(v as i16).to_bits() == v.to_bits() { v as i16 } else { i16::MIN };
    voxels.iter().map(integer).collect()
}

fn answer(request: Request, state: &mut State) -> Result<Value, Box<dyn std::error::Error>> {
    match request {
        Request::Hello => Ok(json!({ "version": env!("CARGO_PKG_VERSION") })),
        Request::Open { folder } => {
            state.open = None;
            let begun = Instant::now();
            state.open = Some(Dataset::open(folder)?.volume("scan/image")?);
            Ok(json!({ "seconds": begun.elapsed().as_secs_f64() }))
        }
        Request::Pass { regions, check } => {
            Ok(pass(state.open.as_ref().ok_or("no store is open")?, &regions, check)?)
        }
        Request::Train { folder, subjects, patch, per_visit, threads, check } => {
            let options = StreamOptions::default()
                .images(vec![ImageRequest::new("image").scaled()])
                .patches_per_visit(per_visit)
                .workers(threads);
            Ok(train(&Dataset::open(folder)?, &subjects, patch, &options, check)?)
        }
        Request::Convert { scan, folder } => Ok(aggregation::convert_source(&scan, &folder)?),
        Request::Load { job } => {
            state.predictions = Some(Predictions::load(&job)?);
            Ok(json!({}))
        }
        Request::Aggregate { job, mode, argmax, threads } => {
            let predictions = state.predictions.as_ref().ok_or("no predictions are loaded")?;
            let answer = aggregation::aggregate(&job, predictions, &mode, argmax, threads)?;
            state.folder = job.folder;
            Ok(answer)
        }
        Request::Dump { path } => aggregation::dump(&state.folder, &path),
    }
}

fn main() {
    let mut state = State::default();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let reply = match serde_json::from_str(&line) {
            Ok(request) => answer(request, &mut state)
                .unwrap_or_else(|error| json!({ "error": error.to_string() })),
            Err(error) => json!({ "error": format!("not understood: {error}") }),
        };
        println!("{reply}");
        if std::io::stdout().flush().is_err() {
            return;
        }
    }
}
