//! Passes: a list of patches is read once, by one thread or several, and each read is timed.

use std::time::{Duration, Instant};

use super::counters::Counters;
use super::subject::Handle;
use super::watch::{Progress, Step, tell};
use crate::{Element, Error, Region, Result, exec};

/// The threads' buffers, made once, so that no pass includes their cost.
pub(super) struct Readers<T>(Vec<Reader<T>>);

struct Reader<T> {
    patch: Vec<T>,
    latencies: Vec<Duration>,
}

/// The duration of one pass.
pub(super) struct Pass {
    /// Seconds from the start of the first thread to the end of the last.
    pub(super) seconds: f64,
    pub(super) counters: Counters,
}

impl<T: Element> Readers<T> {
    /// For `threads` readers of patches of `voxels` voxels, and lists of `patches` patches.
    pub(super) fn new(threads: usize, voxels: usize, patches: usize) -> Result<Self> {
        let mut readers = Vec::new();
        for _ in 0..threads {
            let mut patch: Vec<T> = bytemuck::allocation::try_zeroed_vec(voxels)
                .map_err(|()| Error::invalid("patch", voxels, "is more than memory holds"))?;
            // Touches the memory, so that no read includes its page faults.
            patch.fill(T::default());
            let latencies = Vec::with_capacity(patches.div_ceil(threads));
            readers.push(Reader { patch, latencies });
        }
        Ok(Self(readers))
    }

    /// Reads each region once. Several threads take turns in the list; starting them is part of the
    /// pass.
    pub(super) fn pass(
        &mut self,
        regions: &[Region],
        handle: &Handle,
        progress: Progress<'_>,
    ) -> Result<Pass> {
        let (seconds, counters) = Counters::during(|| {
            let began = Instant::now();
            match &mut self.0[..] {
                [reader] => reader.read(regions.iter(), handle, progress)?,
                readers => side_by_side(readers, regions, handle, progress)?,
            }
            Ok(began.elapsed().as_secs_f64().max(1e-9))
        });
        Ok(Pass { seconds: seconds?, counters })
    }

    /// The time of each read of the last pass.
    pub(super) fn latencies(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().flat_map(|reader| reader.latencies.iter().copied())
    }
}

fn side_by_side<T: Element>(
    readers: &mut [Reader<T>],
    regions: &[Region],
    handle: &Handle,
    progress: Progress<'_>,
) -> Result<()> {
    let threads = readers.len();
    let own = |n: usize| regions.iter().skip(n).step_by(threads);
    exec::side_by_side(
        readers
            .iter_mut()
            .enumerate()
            .map(|(n, reader)| move || reader.read(own(n), handle, progress)),
    )
}

impl<T: Element> Reader<T> {
    fn read<'a>(
        &mut self,
        regions: impl Iterator<Item = &'a Region>,
        handle: &Handle,
        progress: Progress<'_>,
    ) -> Result<()> {
        self.latencies.clear();
        for &region in regions {
            tell(progress, Step::Going)?;
            let began = Instant::now();
            handle.read_into(region, &mut self.patch)?;
            self.latencies.push(began.elapsed());
        }
        Ok(())
    }
}
