//! Reading a list of patches once, by one thread or several, each read timed.

use std::time::{Duration, Instant};

use anyhow::Context;
use voxpatch::{Element, Region};

use super::counters::Counters;
use super::subject::Handle;
use crate::interrupt::Interrupt;

/// The threads' buffers: made once, so that no pass pays for them.
pub struct Readers<T>(Vec<Reader<T>>);

struct Reader<T> {
    patch: Vec<T>,
    latencies: Vec<Duration>,
}

/// What one pass took.
pub struct Pass {
    /// From the start of the first thread to the end of the last.
    pub seconds: f64,
    pub counters: Counters,
}

impl<T: Element> Readers<T> {
    /// For `threads` readers of patches of so many voxels, and lists of so many patches.
    pub fn new(threads: usize, voxels: usize, patches: usize) -> anyhow::Result<Self> {
        let mut readers = Vec::new();
        for _ in 0..threads {
            let patch = bytemuck::allocation::try_zeroed_vec(voxels).ok();
            let mut patch: Vec<T> = patch.context("a patch is more than memory holds")?;
            // Written to once, so that the memory is there.
            patch.fill(T::default());
            let latencies = Vec::with_capacity(patches.div_ceil(threads));
            readers.push(Reader { patch, latencies });
        }
        Ok(Self(readers))
    }

    /// Reads each region once. Several threads take turns in the list; they are started anew for
    /// each pass, as part of it.
    pub fn pass(
        &mut self,
        regions: &[Region],
        handle: &Handle,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Pass> {
        let (seconds, counters) = Counters::during(|| {
            let began = Instant::now();
            match &mut self.0[..] {
                [reader] => reader.read(regions.iter(), handle, interrupt)?,
                readers => side_by_side(readers, regions, handle, interrupt)?,
            }
            anyhow::Ok(began.elapsed().as_secs_f64().max(1e-9))
        });
        Ok(Pass { seconds: seconds?, counters })
    }

    /// The time of each read of the last pass.
    pub fn latencies(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().flat_map(|reader| reader.latencies.iter().copied())
    }
}

fn side_by_side<T: Element>(
    readers: &mut [Reader<T>],
    regions: &[Region],
    handle: &Handle,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let threads = readers.len();
    std::thread::scope(|scope| {
        let mut running = Vec::with_capacity(threads);
        for (n, reader) in readers.iter_mut().enumerate() {
            let own = regions.iter().skip(n).step_by(threads);
            let work = move || reader.read(own, handle, interrupt);
            let started = std::thread::Builder::new().spawn_scoped(scope, work);
            running.push(started.context("cannot start a thread")?);
        }
        running.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| anyhow::anyhow!("a thread that reads has panicked"))?
        })
    })
}

impl<T: Element> Reader<T> {
    fn read<'a>(
        &mut self,
        regions: impl Iterator<Item = &'a Region>,
        handle: &Handle,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        self.latencies.clear();
        for &region in regions {
            interrupt.check()?;
            let began = Instant::now();
            handle.read_into(region, &mut self.patch)?;
            self.latencies.push(began.elapsed());
        }
        Ok(())
    }
}
