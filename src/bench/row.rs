//! Measuring one case: the store and the copy are read pass by pass in turn, under the same
//! conditions.

use std::time::Instant;

use serde::Serialize;

use super::cases::{Cache, Case};
use super::counters::peak_memory;
use super::figures::{Figures, Tally};
use super::pass::Readers;
use super::subject::{Side, Subject, Work};
use crate::{Element, Region, Result};

/// Number of timed passes to aim at.
const PASSES: usize = 7;
/// Further passes: to compare, to measure memory, to warm up.
const UNTIMED: usize = 3;
/// As few passes as a median needs, and as many as improve it.
const PASSES_RANGE: [usize; 2] = [3, 200];
/// Patches of a warm pass, unless given.
const PATCHES_RANGE: [usize; 2] = [2, 2000];
/// Patches from which the time of one is estimated.
const PROBE: usize = 8;
/// Patches of a cold pass.
const COLD_PATCHES: usize = 12;
const COLD_PASSES: [usize; 2] = [3, 8];

/// The measurements of one case.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The way of reading.
    #[serde(flatten)]
    pub case: Case,
    /// Patches of a pass.
    pub patches: usize,
    /// Timed passes.
    pub passes: usize,
    /// Voxels of a patch.
    pub voxels_per_patch: usize,
    /// Bytes of a patch, as returned.
    pub bytes_per_patch: usize,
    /// Every patch was equal to the copy.
    pub compared: bool,
    /// Chunks per patch.
    pub chunks_per_patch: f64,
    /// Stored bytes of these chunks, as a whole.
    pub stored_bytes_per_patch: f64,
    /// Bytes decoded per requested byte.
    pub amplification: f64,
    /// The stored volume.
    pub store: Figures,
    /// The uncompressed copy, mapped into memory.
    pub map: Option<Figures>,
    /// Rate of the store over that of the map.
    pub ratio: Option<f64>,
}

pub(super) fn measure<T: Element>(subject: &Subject, case: Case) -> Result<Row> {
    match case.cache {
        Cache::Warm => warm::<T>(subject, case),
        Cache::Cold => cold::<T>(subject, case),
    }
}

fn warm<T: Element>(subject: &Subject, case: Case) -> Result<Row> {
    let reads = reads_that_fit::<T>(subject, case)?;
    let patches = subject.options.count.unwrap_or_else(|| {
        let [least, most] = PATCHES_RANGE;
        (reads / (PASSES + UNTIMED)).clamp(least, most).max(case.threads)
    });
    let regions = case.regions(subject.shape, patches, subject.options.seed)?;
    let [least, most] = PASSES_RANGE;
    let passes = (reads / regions.len()).saturating_sub(UNTIMED).clamp(least, most);

    let work = subject.check::<T>(&regions)?;
    let mut readers = Readers::<T>::new(case.threads, voxels(case), regions.len())?;
    let mut tallies = tallies(subject);
    for (side, tally) in &mut tallies {
        let alone = || readers.pass(&regions, &subject.open(*side)?, subject.progress);
        let (done, peak) = peak_memory(alone);
        done?;
        tally.peak = peak;
    }
    let handles = subject.open_all()?;
    for handle in &handles {
        readers.pass(&regions, handle, subject.progress)?;
    }
    for n in 0..passes {
        for at in in_turn(n, tallies.len()) {
            let pass = readers.pass(&regions, &handles[at], subject.progress)?;
            tallies[at].1.add(&pass, readers.latencies());
        }
    }
    Ok(row::<T>(subject, case, regions.len(), work, tallies))
}

/// How many patches can be read from every side in the time of a row.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn reads_that_fit<T: Element>(subject: &Subject, case: Case) -> Result<usize> {
    let handles = subject.open_all()?;
    let mut each = 0.0;
    // Only a few, because they may be slow; twice, because the first may wait for the disk.
    let some = case.threads.max(PROBE);
    for count in [case.threads, some, some] {
        let regions = case.regions(subject.shape, count, subject.options.seed)?;
        let mut readers = Readers::<T>::new(case.threads, voxels(case), regions.len())?;
        let mut seconds = 0.0;
        for handle in &handles {
            seconds += readers.pass(&regions, handle, subject.progress)?.seconds;
        }
        each = seconds / regions.len() as f64;
        if each * some as f64 > subject.options.seconds {
            break;
        }
    }
    Ok((subject.options.seconds / each) as usize)
}

fn cold<T: Element>(subject: &Subject, case: Case) -> Result<Row> {
    // Each pass has its own patches, if there are enough, so that a cache inside the disk does not
    // help.
    let [least, most] = COLD_PASSES;
    let seed = subject.options.seed.wrapping_add(1);
    let regions = case.regions(subject.shape, COLD_PATCHES * most, seed)?;
    let patches = regions.len().min(COLD_PATCHES);
    let lists: Vec<&[Region]> = regions.chunks_exact(patches).collect();
    let mut readers = Readers::<T>::new(case.threads, voxels(case), patches)?;
    let mut tallies = tallies(subject);
    let mut all = Work::default();
    let began = Instant::now();
    for n in 0..most {
        if n >= least && began.elapsed().as_secs_f64() > subject.options.seconds {
            break;
        }
        let regions = lists[n % lists.len()];
        let work = subject.check::<T>(regions)?;
        all += work;
        for at in in_turn(n, tallies.len()) {
            let (side, tally) = &mut tallies[at];
            subject.forget(*side)?;
            let handle = subject.open(*side)?;
            let (pass, peak) = peak_memory(|| readers.pass(regions, &handle, subject.progress));
            let pass = pass?;
            tally.add(&pass, readers.latencies());
            tally.peak = tally.peak.max(peak);
            let least = match side {
                Side::Store => work.largest,
                Side::Map => (voxels(case) * size_of::<T>()) as u64,
            };
            tally.expect_from_disk(&pass, least);
        }
    }
    Ok(row::<T>(subject, case, patches, all, tallies))
}

fn voxels(case: Case) -> usize {
    case.patch.iter().product()
}

fn tallies(subject: &Subject) -> Vec<(Side, Tally)> {
    subject.sides().iter().map(|side| (*side, Tally::default())).collect()
}

/// The sides in an order that is reversed from pass to pass.
fn in_turn(pass: usize, sides: usize) -> impl Iterator<Item = usize> {
    (0..sides).map(move |n| if pass.is_multiple_of(2) { n } else { sides - 1 - n })
}

/// `work` is the sum over every patch that was compared, `patches` the number of patches of one
/// pass.
#[allow(clippy::cast_precision_loss)]
fn row<T: Element>(
    subject: &Subject,
    case: Case,
    patches: usize,
    work: Work,
    tallies: Vec<(Side, Tally)>,
) -> Row {
    let passes = tallies.first().map_or(0, |(_, tally)| tally.passes());
    let ratio = match &tallies[..] {
        [(_, store), (_, map)] => Some(store.rate_beside(map)),
        _ => None,
    };
    let bytes_per_patch = voxels(case) * size_of::<T>();
    let mut figures = tallies.into_iter().map(|(_, tally)| tally.figures(patches, bytes_per_patch));
    let each = |total: f64| total / work.patches.max(1) as f64;
    Row {
        case,
        patches,
        passes,
        voxels_per_patch: voxels(case),
        bytes_per_patch,
        compared: subject.copy.is_some(),
        chunks_per_patch: each(work.cost.chunks as f64),
        stored_bytes_per_patch: each(work.cost.stored_bytes as f64),
        amplification: work.cost.amplification(),
        store: figures.next().expect("the store is always measured"),
        map: figures.next(),
        ratio,
    }
}
