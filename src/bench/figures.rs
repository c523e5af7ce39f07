//! Figures from timed passes.

use std::time::Duration;

use serde::Serialize;

use super::counters::Counters;
use super::pass::Pass;

/// The measurements of one side so far.
#[derive(Default)]
pub(super) struct Tally {
    seconds: Vec<f64>,
    latencies: Vec<Duration>,
    counters: Option<Counters>,
    /// Peak memory of the process in bytes, while only this side was open.
    pub(super) peak: Option<u64>,
    from_disk: Option<FromDisk>,
}

/// Whether the bytes of a cold row came from a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromDisk {
    /// In every pass, at least the bytes of its largest patch.
    Yes,
    /// Some bytes, but fewer in some pass.
    InPart,
    /// None, as far as the system tells.
    No,
    /// The system cannot tell.
    Unknown,
}

/// The figures of one side of a row.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Figures {
    /// Rate of the median pass.
    pub patches_per_second: f64,
    /// Bytes of returned voxels, of the median pass.
    pub bytes_per_second: f64,
    /// Times of single reads, in all passes.
    pub latency: Latency,
    /// Calls of `read` and `write` only, which mapped files hardly need.
    pub read_write_calls_per_patch: Option<f64>,
    /// Page faults served from memory.
    pub minor_faults_per_patch: Option<f64>,
    /// Page faults that waited for the disk.
    pub major_faults_per_patch: Option<f64>,
    /// Bytes requested from a disk, in all passes together.
    pub bytes_from_disk: Option<u64>,
    /// Bytes requested from a disk, per patch.
    pub bytes_from_disk_per_patch: Option<f64>,
    /// Peak resident memory of the whole process, with pages of mapped files.
    pub peak_memory: Option<u64>,
    /// For cold rows: whether the bytes came from a disk.
    pub from_disk: Option<FromDisk>,
}

/// Percentiles of the times of single reads, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Tally {
    pub(super) fn add(&mut self, pass: &Pass, latencies: impl Iterator<Item = Duration>) {
        self.seconds.push(pass.seconds);
        self.latencies.extend(latencies);
        let sum = self.counters.map_or(pass.counters, |sum| sum.plus(pass.counters));
        self.counters = Some(sum);
    }

    /// Adds a cold pass: the bytes it read from disk, and the least that it needed.
    pub(super) fn expect_from_disk(&mut self, pass: &Pass, least: u64) {
        let now = match pass.counters.io.map(|io| io.disk) {
            None => FromDisk::Unknown,
            Some(0) => FromDisk::No,
            Some(bytes) if bytes < least => FromDisk::InPart,
            Some(_) => FromDisk::Yes,
        };
        let differs = self.from_disk.is_some_and(|before| before != now);
        self.from_disk = Some(if differs { FromDisk::InPart } else { now });
    }

    pub(super) fn passes(&self) -> usize {
        self.seconds.len()
    }

    /// The rate relative to the other side, in the median of adjacent passes.
    pub(super) fn rate_beside(&self, other: &Self) -> f64 {
        median(self.seconds.iter().zip(&other.seconds).map(|(own, other)| other / own))
    }

    /// The figures of passes of `patches` patches of `patch_bytes` bytes.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn figures(mut self, patches: usize, patch_bytes: usize) -> Figures {
        self.latencies.sort_unstable();
        let quantile = |percent| quantile(&self.latencies, percent).as_secs_f64() * 1e6;
        let latency =
            Latency { p50: quantile(50), p90: quantile(90), p99: quantile(99), max: quantile(100) };
        let rate = patches as f64 / median(self.seconds.iter().copied());
        let counters = self.counters.unwrap_or_default();
        let each = |count: u64| count as f64 / self.latencies.len().max(1) as f64;
        Figures {
            patches_per_second: rate,
            bytes_per_second: rate * patch_bytes as f64,
            latency,
            read_write_calls_per_patch: counters.io.map(|io| each(io.calls)),
            minor_faults_per_patch: counters.faults.map(|faults| each(faults.minor)),
            major_faults_per_patch: counters.faults.map(|faults| each(faults.major)),
            bytes_from_disk: counters.io.map(|io| io.disk),
            bytes_from_disk_per_patch: counters.io.map(|io| each(io.disk)),
            peak_memory: self.peak,
            from_disk: self.from_disk,
        }
    }
}

/// The smallest of ascending values that is not less than `percent` percent of them (nearest rank).
fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(values.len().saturating_sub(1) / 2), at(values.len() / 2))
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "halves are exact")]
mod tests {
    use super::super::counters::Io;
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred_and_medians_lie_in_the_middle() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        let shown = [0, 1, 50, 99, 100].map(|p| quantile(&sorted, p).as_micros());
        assert_eq!(shown, [1, 2, 100, 198, 200]);
        assert_eq!(quantile(&sorted[..1], 99).as_micros(), 1);
        assert_eq!(quantile(&[], 50), Duration::ZERO);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert!(median(std::iter::empty()).is_nan());
    }

    #[test]
    fn a_cold_row_came_from_disk_only_if_every_pass_did() {
        let pass = |disk: Option<u64>| Pass {
            seconds: 1.0,
            counters: Counters { io: disk.map(|disk| Io { calls: 0, disk }), faults: None },
        };
        for (passes, told) in [
            (vec![Some(10), Some(12)], FromDisk::Yes),
            (vec![Some(10), Some(9)], FromDisk::InPart),
            (vec![Some(10), Some(0)], FromDisk::InPart),
            (vec![Some(0), Some(0)], FromDisk::No),
            (vec![None, None], FromDisk::Unknown),
        ] {
            let mut tally = Tally::default();
            for disk in &passes {
                tally.expect_from_disk(&pass(*disk), 10);
            }
            assert_eq!(tally.from_disk, Some(told), "{passes:?}");
        }
    }

    #[test]
    fn figures_are_of_the_median_pass_and_all_reads() {
        let mut tally = Tally::default();
        for seconds in [4.0, 1.0, 2.0] {
            let io = Some(Io { calls: 6, disk: 4096 });
            let counters = Counters { io, faults: None };
            let latencies = [seconds / 2.0; 2].map(Duration::from_secs_f64);
            tally.add(&Pass { seconds, counters }, latencies.into_iter());
        }
        let slower = Tally { seconds: vec![4.0, 4.0, 4.0], ..Tally::default() };
        assert_eq!((tally.passes(), tally.rate_beside(&slower)), (3, 2.0));
        let figures = tally.figures(2, 100);
        assert_eq!((figures.patches_per_second, figures.bytes_per_second), (1.0, 100.0));
        assert_eq!((figures.latency.p50, figures.latency.max), (1e6, 2e6));
        assert_eq!(figures.read_write_calls_per_patch, Some(3.0));
        assert_eq!((figures.bytes_from_disk, figures.minor_faults_per_patch), (Some(12288), None));
    }
}
