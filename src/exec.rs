//! Threads are made here and nowhere else.

use crate::{Error, Result};

/// A fixed number of worker threads. All parallel work of the crate runs inside one of these, so
/// the limit given here is the limit kept; the results do not depend on it.
#[derive(Debug)]
pub struct Pool {
    workers: rayon::ThreadPool,
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
        let workers = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("voxpatch-{i}"))
            .build()
            .map_err(|e| Error::Io {
                action: "start",
                path: "worker threads".into(),
                source: std::io::Error::other(e),
            })?;
        Ok(Self { workers })
    }

    /// Number of workers.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.current_num_threads()
    }

    /// Runs `work` on a worker; rayon's parallel iterators inside it use this pool.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.workers.install(work)
    }
}
