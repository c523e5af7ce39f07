//! What an array is, its chunks aside.

use serde::{Deserialize, Serialize};

use crate::Dtype;

/// The parts of the array's document that differ between volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArrayShape {
    pub(crate) dtype: Dtype,
    pub(crate) times: usize,
    pub(crate) channels: usize,
    pub(crate) shape: [usize; 3],
}

impl ArrayShape {
    /// Bytes of all voxels in a type; `None` if there are none, or more than can be addressed.
    pub(super) fn bytes_as(&self, dtype: Dtype) -> Option<usize> {
        let axes = [self.times, self.channels, dtype.size()];
        let bytes = axes.into_iter().try_fold(crate::voxels(self.shape)?, usize::checked_mul)?;
        (bytes > 0 && i64::try_from(bytes).is_ok()).then_some(bytes)
    }

    /// Number of axes before z. A time or channel axis of length 1 is not stored.
    pub(crate) fn leading(&self) -> usize {
        usize::from(self.times > 1) + usize::from(self.channels > 1)
    }

    /// A shape with the leading axes that are stored in front.
    pub(super) fn with_leading(
        &self,
        times: usize,
        channels: usize,
        rest: [usize; 3],
    ) -> Vec<usize> {
        let leading = [(self.times > 1, times), (self.channels > 1, channels)];
        leading.into_iter().filter_map(|(there, n)| there.then_some(n)).chain(rest).collect()
    }

    /// Key of a shard inside the array: `c/`, then its indices in the grid of shards.
    pub(crate) fn shard_key(&self, time: usize, channel: usize, shard: [usize; 3]) -> String {
        let indices = self.with_leading(time, channel, shard);
        indices.iter().fold("c".to_owned(), |key, i| format!("{key}/{i}"))
    }
}
