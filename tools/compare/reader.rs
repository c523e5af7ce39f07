//! voxpatch's side of `tools/compare`: answers JSON requests, one per line, as `worker.py` does for
//! the other libraries.
//!
//! | `do` | asks for | answers |
//! | --- | --- | --- |
//! | `hello` | | `version` |
//! | `open` | `folder`: a store with the volume `scan/image` | `seconds` |
//! | `pass` | `regions`: starts and shapes, `check` | `seconds`, `digests` if checked |
//! | `train` | `folder`: a store, `volumes`, `regions`: volume, start, shape; `threads`, `check` | as `pass` |
//!
//! Digests are the CRC-32 of the 16-bit voxels. Seconds are those of reading alone.
#![allow(clippy::print_stdout, reason = "the answers")]

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};
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
        volumes: Vec<String>,
        regions: Vec<(usize, [i64; 3], [usize; 3])>,
        threads: usize,
        check: bool,
    },
}

fn digest(voxels: &[i16]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytemuck::cast_slice(voxels));
    crc.sum()
}

/// Reads every region. A timed pass reuses one buffer, as a loader does; a checked one keeps every
/// patch and looks at them once the clock has stopped.
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

/// Patches of several volumes as a network wants them, `f32`, by so many threads. Each takes the
/// next region and opens no volume twice.
fn train(
    dataset: &Dataset,
    volumes: &[String],
    regions: &[(usize, [i64; 3], [usize; 3])],
    threads: usize,
    check: bool,
) -> voxpatch::Result<Value> {
    let begun = Instant::now();
    let volumes: Vec<_> = volumes
        .iter()
        .map(|name| Ok(dataset.volume(name)?.scaled()))
        .collect::<voxpatch::Result<_>>()?;
    let next = AtomicUsize::new(0);
    let work = || -> voxpatch::Result<Vec<(usize, u32)>> {
        let mut buffer = Vec::new();
        let mut digests = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(&(volume, start, shape)) = regions.get(n) else { return Ok(digests) };
            let region = Region::new(start, shape);
            buffer.resize(region.voxels().unwrap_or(0), 0.0);
            volumes[volume].read_into(region, std::hint::black_box(&mut buffer))?;
            if check {
                digests.push((n, digest(&integers(&buffer))));
            }
        }
    };
    let done: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|w| w.join().expect("no panic")).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let mut digests: Vec<_> =
        done.into_iter().collect::<voxpatch::Result<Vec<_>>>()?.into_iter().flatten().collect();
    digests.sort_unstable();
    let digests: Vec<_> = digests.into_iter().map(|(_, digest)| digest).collect();
    Ok(json!({ "seconds": seconds, "digests": digests }))
}

/// The voxels of the scan again. Any that is no integer gives one that no scan here has.
#[allow(clippy::cast_possible_truncation, reason = "compared with what was cast")]
fn integers(voxels: &[f32]) -> Vec<i16> {
    let integer =
        |&v: &f32| if f32::from(v as i16).to_bits() == v.to_bits() { v as i16 } else { i16::MIN };
    voxels.iter().map(integer).collect()
}

fn answer(
    request: Request,
    open: &mut Option<Volume>,
) -> Result<Value, Box<dyn std::error::Error>> {
    match request {
        Request::Hello => Ok(json!({ "version": env!("CARGO_PKG_VERSION") })),
        Request::Open { folder } => {
            *open = None;
            let begun = Instant::now();
            *open = Some(Dataset::open(folder)?.volume("scan/image")?);
            Ok(json!({ "seconds": begun.elapsed().as_secs_f64() }))
        }
        Request::Pass { regions, check } => {
            Ok(pass(open.as_ref().ok_or("no store is open")?, &regions, check)?)
        }
        Request::Train { folder, volumes, regions, threads, check } => {
            Ok(train(&Dataset::open(folder)?, &volumes, &regions, threads, check)?)
        }
    }
}

fn main() {
    let mut open = None;
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let reply = match serde_json::from_str(&line) {
            Ok(request) => answer(request, &mut open)
                .unwrap_or_else(|error| json!({ "error": error.to_string() })),
            Err(error) => json!({ "error": format!("not understood: {error}") }),
        };
        println!("{reply}");
        if std::io::stdout().flush().is_err() {
            return;
        }
    }
}
