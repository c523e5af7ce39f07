//! Reading a list of patches once, by one thread or several, each read timed.

use std::time::{Duration, Instant};

use super::counters::Counters;
use super::subject::Handle;
use super::watch::{Progress, Step, tell};
use crate::{Element, Error, Region, Result, exec};

/// The threads' buffers: made once, so that no pass pays for them.
pub(super) struct Readers<T>(Vec<Reader<T>>);

struct Reader<T> {
    patch: Vec<T>,
    latencies: Vec<Duration>,
}

/// What one pass took.
pub(super) struct Pass {
    /// From the start of the first thread to the end of the last.
    pub(super) seconds: f64,
    pub(super) counters: Counters,
}

impl<T: Element> Readers<T> {
    /// For `threads` readers of patches of so many voxels, and lists of so many patches.
    pub(super) fn new(threads: usize, voxels: usize, patches: usize) -> Result<Self> {
        let mut readers = Vec::new();
        for _ in 0..threads {
            let mut patch: Vec<T> = bytemuck::allocation::try_zeroed_vec(voxels)
                .map_err(|()| Error::invalid("patch", voxels, "is more than memory holds"))?;
            // Written to once, so that the memory is there.
            patch.fill(T::default());
            let latencies = Vec::with_capacity(patches.div_ceil(threads));
            readers.push(Reader { patch, latencies });
        }
        Ok(Self(readers))
    }

    /// Reads each region once. Several threads take turns in the list; they are started anew for
    /// each pass, as part of it.
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
