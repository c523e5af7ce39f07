//! Patches for the model: a thread of its own reads and writes them, so that the model may read and
//! write in any order without a deadlock.

use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use ndarray::Ix4;
use rustix::event::PollFlags;
use rustix::fs::OFlags;

use super::model::is_ready;
use super::patches::Patches;
use crate::exec::{Workers, caught, locked};
use crate::sample::Grid;
use crate::{Error, Frames, Region, Result, View, npy, with_element};

/// The source of the model's input.
pub(super) struct Feed {
    /// The view of the volume, whose frames are the channels of the model's input.
    view: View<Ix4>,
    grid: Grid,
    batch: usize,
}

/// The thread that writes the model's input. It holds one batch at a time; a full pipe makes it
/// wait.
#[derive(Debug)]
pub(super) struct Feeder {
    /// Dropped before the workers, who wait for the end of this channel.
    patches: Option<Sender<Patches>>,
    shared: Arc<Shared>,
    _workers: Workers,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    /// Patches that were asked for and are not written yet.
    waiting: AtomicUsize,
    /// Batches of which at least one byte may be written.
    begun: AtomicUsize,
    failed: Mutex<Option<Error>>,
}

impl Feed {
    /// The frames of a volume, converted as by the view.
    pub(super) fn new(view: &View, frames: Frames, grid: Grid, batch: usize) -> Result<Self> {
        Ok(Self { view: view.frames(frames)?, grid, batch })
    }

    /// Bytes of a batch: its header and its voxels.
    fn block(&self, numbers: &[u64], block: &mut Vec<u8>) -> Result<()> {
        let patch = self.grid.patch();
        let (dtype, channels) = (self.view.returned_dtype(), self.view.channels());
        let [z, y, x] = patch;
        block.clear();
        block.extend(npy::header(dtype, &[numbers.len(), channels, z, y, x]));
        for number in numbers {
            let region = self.grid.region(*number).unwrap_or_else(|| Region::whole(patch));
            with_element!(dtype, T => {
                let voxels = self.view.read::<T>(region)?;
                let voxels = voxels.as_slice().expect("patches are contiguous");
                block.extend_from_slice(&npy::numbers(voxels));
            });
        }
        Ok(())
    }
}

impl Feeder {
    /// Starts the thread.
    pub(super) fn start(feed: Feed, stdin: ChildStdin) -> Result<Self> {
        // Affects this end of the pipe only, not the model's end.
        rustix::fs::fcntl_setfl(&stdin, OFlags::NONBLOCK)
            .map_err(|e| Error::io("prepare", "the model's input")(e.into()))?;
        let (patches, asked) = mpsc::channel::<Patches>();
        let shared = Arc::new(Shared::default());
        let (told, mut stdin) = (Arc::clone(&shared), stdin);
        let mut workers = Workers::new();
        workers.start(move || {
            let mut block = Vec::new();
            for patches in asked {
                let mut numbers = patches.numbers();
                loop {
                    let batch: Vec<u64> = numbers.by_ref().take(feed.batch).collect();
                    if batch.is_empty() {
                        break;
                    }
                    if told.stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let read = caught("reading a patch", || feed.block(&batch, &mut block));
                    told.begun.fetch_add(1, Ordering::SeqCst);
                    match read {
                        Ok(()) if write(&mut stdin, &block, &told.stopped) => {}
                        // The model has closed its input; its exit status or its messages tell why.
                        Ok(()) => return,
                        Err(error) => {
                            *locked(&told.failed) = Some(error);
                            return;
                        }
                    }
                }
                told.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        })?;
        Ok(Self { patches: Some(patches), shared, _workers: workers })
    }

    /// Asks for these patches next, in batches.
    pub(super) fn ask(&self, patches: Patches) {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        if let Some(sender) = &self.patches {
            // If the thread has ended, `failure` or the model tells why.
            let _ = sender.send(patches);
        }
    }

    /// How many batches the model can have seen a byte of.
    pub(super) fn begun(&self) -> usize {
        self.shared.begun.load(Ordering::SeqCst)
    }

    /// Whether all patches that were asked for are written.
    pub(super) fn is_idle(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) == 0
    }

    /// Asks for no more patches: the model's input ends when all are written.
    pub(super) fn end(&mut self) {
        self.patches = None;
    }

    /// Why patches could not be read, if they could not.
    pub(super) fn failure(&self) -> Option<Error> {
        locked(&self.shared.failed).take()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

/// Writes all bytes; false if the model has closed its input or the session stops.
fn write(stdin: &mut ChildStdin, mut bytes: &[u8], stopped: &AtomicBool) -> bool {
    while !bytes.is_empty() {
        match stdin.write(bytes) {
            Ok(0) => return false,
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                if stopped.load(Ordering::Relaxed)
                    || is_ready(stdin.as_fd(), PollFlags::OUT).is_err()
                {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    true
}
