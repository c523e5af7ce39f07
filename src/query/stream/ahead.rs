//! Workers ahead of the consumer, results in order.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::stop::Stop;
use crate::Result;
use crate::exec::{Workers, locked};

/// Between two questions whether to wait any longer.
const LOOK: Duration = Duration::from_millis(50);

/// A result, and the bytes that it takes.
pub(super) type Weighed<T> = (T, usize);

/// Jobs `0..count`, done by worker threads before they are asked for, and given in order. Each
/// worker takes the next job as soon as there is room; nothing is ever emptied and filled again.
#[derive(Debug)]
pub(super) struct Ahead<T> {
    shared: Arc<Shared<T>>,
    workers: Workers,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    /// The result that the consumer waits for has come.
    come: Condvar,
    /// A result was taken.
    taken: Condvar,
    limits: Limits,
}

/// How far workers go ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Number of jobs.
    pub(super) count: u64,
    /// Threads. That many results may be there or in work, whatever they take.
    pub(super) workers: usize,
    /// Bytes that results may take beyond that, those in work included.
    pub(super) bytes: usize,
    /// What a result is expected to take.
    pub(super) expected: usize,
}

#[derive(Debug)]
struct State<T> {
    /// Jobs that were begun.
    begun: u64,
    /// From the one that is given next to the one that was begun last; `None` while in work.
    results: VecDeque<Option<Weighed<T>>>,
    /// Bytes of these results; the expected ones of those in work. Their sum may not fit `usize`.
    bytes: u128,
    /// What the next result is expected to take: as much as the largest so far.
    expected: usize,
    stopped: bool,
}

impl<T: Send + 'static> Ahead<T> {
    /// Starts the workers. `job` must not panic.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the system refuses to start a thread; those started are stopped.
    pub(super) fn start(
        limits: Limits,
        job: impl Fn(u64) -> Weighed<T> + Send + Sync + 'static,
    ) -> Result<Self> {
        let state = State {
            begun: 0,
            results: VecDeque::new(),
            bytes: 0,
            expected: limits.expected,
            stopped: false,
        };
        let (come, taken) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { state: Mutex::new(state), come, taken, limits });
        let mut ahead = Self { shared, workers: Workers::new() };
        let job = Arc::new(job);
        for _ in 0..limits.workers {
            let (shared, job) = (Arc::clone(&ahead.shared), Arc::clone(&job));
            ahead.workers.start(move || {
                while let Some((n, expected)) = shared.begin() {
                    shared.finish(n, expected, job(n));
                }
            })?;
        }
        Ok(ahead)
    }

    /// The next result, which the caller knows to be one of `0..count`; `None` if `stop` asks to
    /// wait no longer. The next call then goes on with the same result.
    pub(super) fn next(&self, stop: &Stop) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            if let Some((result, bytes)) = state.results.front_mut().and_then(Option::take) {
                state.results.pop_front();
                state.bytes -= bytes as u128;
                self.shared.taken.notify_all();
                return Some(result);
            }
            let waited = self.shared.come.wait_timeout(state, LOOK);
            let (after, time) = waited.unwrap_or_else(PoisonError::into_inner);
            state = after;
            if time.timed_out() {
                // Without the lock: workers go on while the caller is asked.
                drop(state);
                if stop.is_asked_for() {
                    return None;
                }
                state = self.shared.lock();
            }
        }
    }
}

impl<T> Drop for Ahead<T> {
    /// Waits for the jobs in work.
    fn drop(&mut self) {
        if self.workers.are_here() {
            self.shared.lock().stopped = true;
            self.shared.taken.notify_all();
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        locked(&self.state)
    }

    /// Waits for room; the number of the job to do and the bytes set aside for its result, or
    /// `None` if there is nothing left to do.
    fn begin(&self) -> Option<(u64, usize)> {
        let Limits { count, workers, bytes, .. } = self.limits;
        let mut state = self.lock();
        loop {
            if state.stopped || state.begun == count {
                return None;
            }
            let expected = state.expected;
            let within = state.bytes + expected as u128 <= bytes as u128;
            if within || state.results.len() < workers {
                let n = state.begun;
                state.begun += 1;
                state.bytes += expected as u128;
                state.results.push_back(None);
                return Some((n, expected));
            }
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finish(&self, n: u64, expected: usize, result: Weighed<T>) {
        let mut state = self.lock();
        state.bytes = state.bytes - expected as u128 + result.1 as u128;
        state.expected = state.expected.max(result.1);
        // A result is given only after those before it, so this one is still awaited.
        let given = state.begun - state.results.len() as u64;
        let at = usize::try_from(n - given).expect("a place in the queue");
        state.results[at] = Some(result);
        if at == 0 {
            self.come.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    fn next<T: Send + 'static>(ahead: &Ahead<T>) -> T {
        ahead.next(&Stop::default()).unwrap()
    }

    fn limits(workers: usize, bytes: usize) -> Limits {
        Limits { count: 300, workers, bytes, expected: 10 }
    }

    #[test]
    fn results_come_in_order_however_long_jobs_take() {
        for workers in [1, 2, 5] {
            let ahead = Ahead::start(limits(workers, 80), |n| {
                (0..n * 7919 % 13).for_each(|_| std::thread::yield_now());
                (n, 10)
            });
            let ahead = ahead.unwrap();
            assert!((0..300).map(|_| next(&ahead)).eq(0..300));
        }
    }

    /// A job may be begun while `workers` or fewer are out, or while they fit the budget.
    #[test]
    fn workers_stay_within_the_budget_of_a_slow_consumer() {
        for (workers, bytes, most) in [(2, 100, 10), (3, 35, 3), (4, 0, 4), (1, 10, 1)] {
            let given = Arc::new(AtomicU64::new(0));
            let over = Arc::new(AtomicBool::new(false));
            let (seen, broken) = (Arc::clone(&given), Arc::clone(&over));
            let ahead = Ahead::start(limits(workers, bytes), move |n| {
                // Given before this job was begun, but perhaps not counted yet: one more.
                if n > seen.load(Ordering::SeqCst) + most {
                    broken.store(true, Ordering::SeqCst);
                }
                (n, 10)
            });
            let ahead = ahead.unwrap();
            for n in 0..300 {
                (0..n % 50).for_each(|_| std::thread::yield_now());
                assert_eq!(next(&ahead), n);
                given.store(n + 1, Ordering::SeqCst);
            }
            assert!(!over.load(Ordering::SeqCst), "{workers} workers, {bytes} bytes");
        }
    }

    #[test]
    fn larger_results_than_expected_are_allowed_for_from_then_on() {
        let ahead = Ahead::start(Limits { expected: 0, ..limits(2, 50) }, |n| (n, usize::MAX));
        let ahead = ahead.unwrap();
        assert!((0..300).map(|_| next(&ahead)).eq(0..300));
        assert_eq!(ahead.shared.lock().bytes, 0);
    }

    #[test]
    fn dropping_ends_the_workers_whatever_they_wait_for() {
        for taken in [0, 1, 150, 299, 300] {
            let alive = Arc::new(());
            let held = Arc::clone(&alive);
            let ahead = Ahead::start(limits(3, 40), move |n| (n, Arc::strong_count(&held)));
            let ahead = ahead.unwrap();
            (0..taken).for_each(|n| assert_eq!(next(&ahead), n));
            drop(ahead);
            assert_eq!(Arc::strong_count(&alive), 1, "every worker has dropped its job");
        }
    }
}
