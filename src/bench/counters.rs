//! The system's counters for this process, from `/proc/self`.

use std::fs::{self, File};
use std::io::Read;

/// Counters of the whole process, over all threads. `None` if the system has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) io: Option<Io>,
    pub(super) faults: Option<Faults>,
}

/// From `/proc/self/io`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Io {
    /// Number of calls of `read`, `write` and similar (`syscr`, `syscw`), without opening and
    /// mapping.
    pub(super) calls: u64,
    /// Bytes requested from a disk (`read_bytes`).
    pub(super) disk: u64,
}

/// From `/proc/self/stat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// Page faults served from memory.
    pub(super) minor: u64,
    /// Page faults that waited for the disk.
    pub(super) major: u64,
}

impl Counters {
    /// The increase of the counters during `work`.
    pub(super) fn during<T>(work: impl FnOnce() -> T) -> (T, Self) {
        // The counters that this measurement itself increases are read closest to the work.
        let faults = faults();
        let io = io();
        let done = work();
        let after = Self { io: self::io(), faults: self::faults() };
        let io = io.zip(after.io).map(|(before, after)| Io {
            // Minus the call that read the counters before.
            calls: after.calls.saturating_sub(before.calls + 1),
            disk: after.disk.saturating_sub(before.disk),
        });
        let faults = faults.zip(after.faults).map(|(before, after)| Faults {
            minor: after.minor.saturating_sub(before.minor),
            major: after.major.saturating_sub(before.major),
        });
        (done, Self { io, faults })
    }

    /// The sum of both; a counter that one lacks, the sum lacks, too.
    pub(super) fn plus(self, other: Self) -> Self {
        let io = self.io.zip(other.io);
        let faults = self.faults.zip(other.faults);
        Self {
            io: io.map(|(a, b)| Io { calls: a.calls + b.calls, disk: a.disk + b.disk }),
            faults: faults
                .map(|(a, b)| Faults { minor: a.minor + b.minor, major: a.major + b.major }),
        }
    }
}

/// The peak resident memory of the process during `work`, with pages of mapped files; `None` if the
/// system cannot tell.
pub(super) fn peak_memory<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    // 5 resets the peak: proc(5), /proc/pid/clear_refs.
    let reset = fs::write("/proc/self/clear_refs", "5").is_ok();
    let done = work();
    let text = if reset { text("status") } else { None };
    (done, text.and_then(|text| field(&text, "VmHWM:")).map(|kib| kib * 1024))
}

fn io() -> Option<Io> {
    let text = text("io")?;
    let of = |name| field(&text, name);
    Some(Io { calls: of("syscr:")? + of("syscw:")?, disk: of("read_bytes:")? })
}

fn faults() -> Option<Faults> {
    parse_faults(&text("stat")?)
}

/// The 10th and 12th field; the 2nd is a name in brackets that may contain anything.
fn parse_faults(stat: &str) -> Option<Faults> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let of = |n: usize| fields.get(n - 3)?.parse().ok();
    Some(Faults { minor: of(10)?, major: of(12)? })
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

/// The text of a small file of `/proc/self`, read by one call of `read`.
fn text(name: &str) -> Option<String> {
    let mut bytes = [0; 4096];
    let held = File::open(format!("/proc/self/{name}")).ok()?.read(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes[..held]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_whatever_the_process_is_called() {
        let stat = "7 (a) b (c) R 1 2 3 4 5 6 70 8 90 10 11";
        assert_eq!(parse_faults(stat), Some(Faults { minor: 70, major: 90 }));
        assert_eq!(parse_faults("7 (a) R 1"), None);
        let io = "rchar: 1\nsyscr: 20\nsyscw: 3\nread_bytes: 4096\ncancelled_write_bytes: 5\n";
        assert_eq!(field(io, "syscr:"), Some(20));
        assert_eq!(field("VmPeak:\t 9 kB\nVmHWM:\t 1234 kB\n", "VmHWM:"), Some(1234));
        assert_eq!((field(io, "none:"), field("a: b", "a:")), (None, None));
    }

    #[test]
    fn a_sum_knows_what_both_know() {
        let io = Some(Io { calls: 1, disk: 2 });
        let faults = Some(Faults { minor: 3, major: 4 });
        let sum = Counters { io, faults }.plus(Counters { io, faults: None });
        assert_eq!(sum, Counters { io: Some(Io { calls: 2, disk: 4 }), faults: None });
    }
}
