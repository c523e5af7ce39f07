//! The end of a wait.

use std::fmt;

type Ask = Box<dyn Fn() -> bool + Send + Sync>;

/// Asks a caller, if the caller wants to be asked, whether to stop waiting.
#[derive(Default)]
pub(super) struct Stop(Option<Ask>);

impl Stop {
    pub(super) fn when(ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(ask)))
    }

    pub(super) fn is_asked_for(&self) -> bool {
        self.0.as_ref().is_some_and(|ask| ask())
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stop({})", self.0.is_some())
    }
}
