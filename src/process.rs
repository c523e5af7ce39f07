//! Values that belong to one process: threads, and locks that a thread may hold.
//!
//! A forked process has a copy of such values, but of the threads only the one that forked: the
//! work of the others never ends there, and a lock that one of them held stays locked.

use std::fmt;
use std::ops::Deref;
use std::process;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

/// The process that made a thing which other processes see too: a file, a lock, a child. A forked
/// process has a copy of the handle, and must leave the thing alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker(u32);

impl Maker {
    /// This process.
    pub(crate) fn new() -> Self {
        Self(process::id())
    }

    /// Another process than this one.
    #[cfg(test)]
    pub(crate) fn other() -> Self {
        Self(!process::id())
    }

    /// False in a forked process.
    pub(crate) fn is_here(self) -> bool {
        self.0 == process::id()
    }
}

/// A value for each process. A forked process makes its own at first use; the inherited value is
/// neither used nor dropped there.
///
/// No lock is taken, so that none can be held during a fork.
pub(crate) struct PerProcess<T> {
    current: ArcSwap<Owned<T>>,
}

/// The value of this process, in use.
pub(crate) struct Here<T>(Arc<Owned<T>>);

/// A value that is dropped only by the process that made it.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    maker: Maker,
    /// `Some` until it is dropped.
    value: Option<T>,
}

impl<T> PerProcess<T> {
    /// Begins with a value of this process.
    pub(crate) fn new(value: T) -> Self {
        Self { current: ArcSwap::from_pointee(Owned::new(value)) }
    }

    /// The value of this process; calls `make` if there is none yet. Several threads that make one
    /// at once all get the same.
    pub(crate) fn here<E>(&self, make: impl Fn() -> Result<T, E>) -> Result<Here<T>, E> {
        let mut current = self.current.load_full();
        while !current.maker.is_here() {
            let own = Arc::new(Owned::new(make()?));
            let before = self.current.compare_and_swap(&current, Arc::clone(&own));
            if Arc::ptr_eq(&before, &current) {
                return Ok(Here(own));
            }
            current = Guard::into_inner(before);
        }
        Ok(Here(current))
    }
}

impl<T> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerProcess").finish_non_exhaustive()
    }
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { maker: Maker::new(), value: Some(value) }
    }

    /// Takes the value out, to be dropped normally.
    pub(crate) fn into_inner(mut self) -> T {
        self.value.take().expect("it is there until it is dropped")
    }
}

impl<T> Deref for Here<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.value.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> Drop for Owned<T> {
    /// Dropping an inherited value might wait for a thread that does not exist here, or find a map
    /// that a thread was changing during the fork.
    fn drop(&mut self) {
        if !self.maker.is_here() {
            std::mem::forget(self.value.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it is dropped.
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn an_inherited_value_is_replaced_once_and_never_dropped() {
        let [inherited, own] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let value = Some(Counted(Arc::clone(&inherited)));
        let value = Owned { maker: Maker::other(), value };
        let values = PerProcess { current: ArcSwap::from_pointee(value) };
        let made = AtomicUsize::new(0);
        let here = || {
            let make = || {
                made.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Counted(Arc::clone(&own)))
            };
            let Ok(value) = values.here(make);
            Arc::as_ptr(&value.0).addr()
        };
        let places: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(here)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(places.iter().all(|place| *place == places[0]));
        assert_eq!(own.load(Ordering::SeqCst), made.load(Ordering::SeqCst) - 1);
        drop(values);
        assert_eq!(own.load(Ordering::SeqCst), made.load(Ordering::SeqCst));
        assert_eq!(inherited.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_cannot_be_made_is_an_error_and_tried_again() {
        let values = PerProcess {
            current: ArcSwap::from_pointee(Owned { maker: Maker::other(), value: Some(1) }),
        };
        assert_eq!(values.here(|| Err("refused")).map(|value| *value), Err("refused"));
        assert_eq!(values.here(|| Ok::<_, ()>(2)).map(|value| *value), Ok(2));
        assert_eq!(values.here(|| Err("not asked")).map(|value| *value), Ok(2));
    }
}
