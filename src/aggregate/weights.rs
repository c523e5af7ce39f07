//! Sums of weights with a floor, which are not a product of their axes, kept for similar chunks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::exec::locked;

/// The most bytes that are kept.
const KEPT_BYTES: usize = 32 << 20;

/// The weights of chunks, by the first similar chunk along `z, y, x`. Patches of a grid lie in the
/// same way to every few chunks, so few sums serve a whole layer.
#[derive(Debug, Default)]
pub(super) struct KeptWeights(Mutex<HashMap<[usize; 3], Arc<[f64]>>>);

impl KeptWeights {
    /// The weights of chunks that are similar to `like`, worked out if they are not kept.
    pub(super) fn of(&self, like: [usize; 3], work_out: impl FnOnce() -> Vec<f64>) -> Arc<[f64]> {
        if let Some(weights) = locked(&self.0).get(&like) {
            return Arc::clone(weights);
        }
        // Without the lock: two threads may work out the same weights.
        let weights: Arc<[f64]> = work_out().into();
        let mut kept = locked(&self.0);
        if (kept.len() + 1) * size_of_val(&*weights) > KEPT_BYTES {
            kept.clear();
        }
        kept.insert(like, Arc::clone(&weights));
        weights
    }
}
