//! Threads are made in this file and nowhere else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::process::{Maker, PerProcess};
use crate::{Error, Result};

/// A fixed number of worker threads. All parallel work of the crate runs inside a pool, so this
/// limit holds; results do not depend on it.
///
/// Threads do not exist in a forked process: there, the pool starts its own threads at first use.
#[derive(Debug)]
pub struct Pool {
    threads: usize,
    workers: PerProcess<rayon::ThreadPool>,
}

impl Pool {
    /// A pool of `threads` workers; 0 means one for each processor that this process may use.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses to start a thread.
    pub fn new(threads: usize) -> Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        };
        Ok(Self { threads, workers: PerProcess::new(workers(threads)?) })
    }

    /// Number of workers.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on a worker; rayon's parallel iterators inside it use this pool.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Io`] if this process was forked and the system refuses to start a
    /// thread here.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.workers.here(|| workers(self.threads))?.install(work)
    }
}

fn workers(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("voxpatch-{i}"))
        .build()
        .map_err(|e| Error::Io {
            action: "start",
            path: "worker threads".into(),
            source: std::io::Error::other(e),
        })
}

/// Named threads, joined when this is dropped. Their work must end by then: tell it to stop first.
#[derive(Debug)]
pub(crate) struct Workers {
    threads: Vec<std::thread::JoinHandle<()>>,
    /// Threads do not exist in a forked process.
    maker: Maker,
}

impl Workers {
    /// No threads yet.
    pub(crate) fn new() -> Self {
        Self { threads: Vec::new(), maker: Maker::new() }
    }

    /// Starts one more thread. If others wait for its work, the work must not panic: see
    /// [`caught`].
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub(crate) fn start(&mut self, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let name = format!("voxpatch-worker-{}", self.threads.len());
        let thread = std::thread::Builder::new().name(name).spawn(work);
        self.threads.push(thread.map_err(Error::io("start", "a worker thread"))?);
        Ok(())
    }

    /// False in a forked process: no thread runs there, and a lock that a thread held during the
    /// fork stays locked.
    pub(crate) fn are_here(&self) -> bool {
        self.maker.is_here()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            if self.maker.is_here() {
                // A panic was already reported by the work.
                drop(thread.join());
            } else {
                std::mem::forget(thread);
            }
        }
    }
}

/// Runs each work in its own thread, all at once, and returns when the last has ended.
///
/// # Errors
/// The first error in the order of the works, also for a panic; [`Error::Io`] if the system refuses
/// to start a thread.
pub(crate) fn side_by_side(
    works: impl Iterator<Item = impl FnOnce() -> Result<()> + Send>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for work in works {
            let started = std::thread::Builder::new()
                .spawn_scoped(scope, || caught("work of one of several threads", work));
            running.push(started.map_err(Error::io("start", "a thread"))?);
        }
        running.into_iter().try_for_each(|thread| thread.join().expect("its panics are caught"))
    })
}

/// Runs work that may call foreign code, such as the caller's disk or sampler. A panic becomes an
/// error, because a thread that ends in a panic would leave others waiting for its answer. After an
/// error, the caller must not use what the work has left half done.
pub(crate) fn caught<T>(what: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let message = text.unwrap_or_else(|| "something other than text".to_owned());
        Err(Error::Panicked { what, message })
    })
}

/// Locks a mutex, even if a thread panicked while holding it: that panic is reported elsewhere, and
/// the guarded value is consistent at all times.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_waited_for_where_they_run_and_forgotten_elsewhere() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let alive = std::sync::Arc::new(());
        let mut workers = Workers::new();
        let held = std::sync::Arc::clone(&alive);
        workers.start(move || drop((ended.recv(), held))).unwrap();
        assert!(workers.are_here());
        // As in a process that was forked off, where waiting would never end.
        workers.maker = Maker::other();
        assert!(!workers.are_here());
        drop(workers);
        drop(end);
        let mut workers = Workers::new();
        let held = std::sync::Arc::clone(&alive);
        workers.start(move || drop(held)).unwrap();
        drop(workers);
        // The one that was not waited for may hold on a little longer.
        assert!(std::sync::Arc::strong_count(&alive) <= 2);
    }
}
