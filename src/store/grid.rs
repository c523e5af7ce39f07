//! The position of chunks in shards.

use super::array::ArrayShape;
use crate::Frame;
use crate::layout::ChunkLayout;

/// The grid of the shards of an array. Shards are numbered in C order of time, channel, z, y, x,
/// and so are the chunks of a shard.
#[derive(Debug, Clone)]
pub(super) struct ShardGrid {
    array: ArrayShape,
    layout: ChunkLayout,
    /// Shards along time and channels.
    blocks: [usize; 2],
    /// Shards along z, y, x.
    grid: [usize; 3],
    /// Chunks of one frame in a shard, along z, y, x.
    chunks: [usize; 3],
}

impl ShardGrid {
    pub(super) fn new(array: &ArrayShape, layout: &ChunkLayout) -> Self {
        let frames = [array.times, array.channels];
        Self {
            array: array.clone(),
            layout: *layout,
            blocks: std::array::from_fn(|a| frames[a].div_ceil(layout.frames[a])),
            grid: layout.shards(array.shape),
            chunks: layout.chunks_per_shard(),
        }
    }

    /// Number of shards. Saturates.
    pub(super) fn len(&self) -> usize {
        self.blocks.into_iter().chain(self.grid).fold(1, usize::saturating_mul)
    }

    /// Number of shards in one row along z.
    pub(super) fn row(&self) -> usize {
        self.grid[1] * self.grid[2]
    }

    /// Number of chunks in a full shard.
    pub(super) fn chunks(&self) -> usize {
        self.layout.frames.into_iter().chain(self.chunks).product()
    }

    /// The number of a shard, given by a frame and its position along z, y, x.
    fn number(&self, frame: Frame, [z, y, x]: [usize; 3]) -> usize {
        let [times, channels] = self.layout.frames;
        let block = frame.time / times * self.blocks[1] + frame.channel / channels;
        ((block * self.grid[0] + z) * self.grid[1] + y) * self.grid[2] + x
    }

    /// The shard of a chunk, which is given by its frame and its position in the chunk grid, and
    /// the number of the chunk in that shard.
    pub(super) fn locate(&self, frame: Frame, at: [usize; 3]) -> (usize, usize) {
        let shard = std::array::from_fn(|a| at[a] / self.chunks[a]);
        let [z, y, x] = std::array::from_fn(|a| at[a] % self.chunks[a]);
        let [times, channels] = self.layout.frames;
        let within = frame.time % times * channels + frame.channel % channels;
        let n = ((within * self.chunks[0] + z) * self.chunks[1] + y) * self.chunks[2] + x;
        (self.number(frame, shard), n)
    }

    /// The key of a shard inside the array.
    pub(super) fn key(&self, n: usize) -> String {
        let [depth, rows, columns] = self.grid;
        let (n, x) = (n / columns, n % columns);
        let (n, y) = (n / rows, n % rows);
        let (block, z) = (n / depth, n % depth);
        self.array.shard_key(block / self.blocks[1], block % self.blocks[1], [z, y, x])
    }

    /// Number of layers of chunks, over all frames, in the row of shards that holds this layer of a
    /// frame.
    pub(super) fn layers_of_row(&self, frame: Frame, layer: usize) -> usize {
        let ArrayShape { times, channels, shape, .. } = self.array;
        let [of_times, of_channels] = self.layout.frames;
        let layers = shape[0].div_ceil(self.layout.chunk[0]);
        [
            (layer, self.chunks[0], layers),
            (frame.time, of_times, times),
            (frame.channel, of_channels, channels),
        ]
        .map(|(n, step, of)| step.min(of - n / step * step))
        .iter()
        .product()
    }

    /// Whether all later layers lie in other shards than this layer and those before it, in the
    /// order of time points, then channels, then layers from 0 up.
    pub(super) fn is_done_with(&self, frame: Frame, layer: usize) -> bool {
        let ArrayShape { times, channels, shape, .. } = self.array;
        let ends = |n: usize, step: usize, of: usize| (n + 1).is_multiple_of(step) || n + 1 == of;
        let [of_times, of_channels] = self.layout.frames;
        let of_channels = if of_times > 1 { channels } else { of_channels };
        ends(layer, self.chunks[0], shape[0].div_ceil(self.layout.chunk[0]))
            && ends(frame.channel, of_channels, channels)
            && ends(frame.time, of_times, times)
    }
}
