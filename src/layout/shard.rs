//! The choice of the shard, and the memory that writing takes.

use super::report::VolumeSpec;
use super::{ChunkLayout, Codec, CostModel, MAX_CHUNKS_PER_SHARD};
use crate::Result;

/// Layers of chunks that a conversion holds: one is encoded while the others are read ahead, so
/// that a slow layer on one side does not stop the other.
pub(crate) const LAYERS_IN_MEMORY: usize = 3;
/// Aim for the memory to write, in bytes.
pub(super) const MEMORY_AIM: u64 = 128 << 20;
/// Aim for a shard, in decoded bytes: large enough that files stay few, small enough to rewrite.
pub(super) const SHARD_AIM: u64 = 32 << 20;
/// Most chunks of a shard. A shard's index is read whole; at 16 bytes for each chunk this keeps it
/// at 1 MiB.
const CHUNKS_AIM: u64 = 1 << 16;

/// Bytes of memory that converting a volume of shape `z, y, x` takes with this layout: three layers
/// of voxels (one being encoded, two read ahead), each `chunk_z * Y * X * item_bytes`, and the
/// encoded chunks of one row of shards along z, of all frames that a shard spans. If a scan stores
/// its channels in turn at each time point, each channel takes such a row. A shard deeper than the
/// volume holds no more than the volume. Saturates.
#[must_use]
pub fn memory_to_write(volume: [usize; 3], layout: &ChunkLayout, item_bytes: usize) -> u64 {
    let model = CostModel::new(volume, item_bytes, layout.codec, super::Access::Random);
    write_memory(&model, layout.chunk, layout.shard[0], layout.frames)
}

/// [`memory_to_write`] with the flattest shard that a chunk shape allows.
pub(super) fn least_memory(model: &CostModel, chunk: [usize; 3]) -> u64 {
    write_memory(model, chunk, chunk[0], [1; 2])
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn write_memory(model: &CostModel, chunk: [usize; 3], depth: usize, frames: [usize; 2]) -> u64 {
    // Casts from float to integer saturate, and the ratio is an estimate.
    let row = plane_bytes(model, depth).saturating_mul(product(frames)) as f64;
    let encoded = (row * model.constants.ratio * model.growth(chunk)) as u64;
    plane_bytes(model, chunk[0]).saturating_mul(LAYERS_IN_MEMORY as u64).saturating_add(encoded)
}

/// Bytes of `depth` whole z-planes.
fn plane_bytes(model: &CostModel, depth: usize) -> u64 {
    let [planes, rows, columns] = model.volume;
    product([depth.min(planes), rows, columns, model.item_bytes])
}

/// The shard for a chunk shape, `z, y, x`: whole planes if they fit the aims, as deep as the aims
/// allow, and at most the volume rounded up to whole chunks.
///
/// # Errors
/// [`crate::Error::InvalidLayout`] if the chunk itself is refused.
pub(super) fn choose(model: &CostModel, chunk: [usize; 3], codec: Codec) -> Result<ChunkLayout> {
    ChunkLayout::new(chunk, chunk, codec)?;
    let grid: [usize; 3] = std::array::from_fn(|a| model.volume[a].div_ceil(chunk[a]));
    let chunk_bytes = product([chunk[0], chunk[1], chunk[2], model.item_bytes]);
    let most = (SHARD_AIM / chunk_bytes.max(1)).clamp(1, CHUNKS_AIM);

    // Depth first, because the depth decides the memory, whatever the extent in the plane.
    let fits = |depth: usize| {
        write_memory(model, chunk, depth.saturating_mul(chunk[0]), [1; 2]) <= MEMORY_AIM
            && product([depth, grid[1], grid[2], 1]) <= most
    };
    let depth = largest(grid[0], fits);
    let rows = largest(grid[1], |rows| product([depth, rows, grid[2], 1]) <= most);
    let columns = largest(grid[2], |columns| product([depth, rows, columns, 1]) <= most);
    let counts = [even(grid[0], depth), even(grid[1], rows), even(grid[2], columns)];
    debug_assert!(product([counts[0], counts[1], counts[2], 1]) <= MAX_CHUNKS_PER_SHARD as u64);
    let shard = std::array::from_fn(|a| counts[a].saturating_mul(chunk[a]));
    ChunkLayout::new(chunk, shard, codec)
}

/// The same layout with shards of several frames, if a frame fits one shard and is small beside the
/// aims: a file for each frame would cost more than its voxels. Time points of one channel come
/// first, because scans store them one after the other and series are read along them.
///
/// # Errors
/// [`crate::Error::InvalidLayout`] for a given shard that is already at its limit.
pub(super) fn span_frames(layout: ChunkLayout, volume: &VolumeSpec) -> Result<ChunkLayout> {
    if layout.shards(volume.shape) != [1; 3] {
        return Ok(layout);
    }
    let [z, y, x] = layout.shard;
    let frame_bytes = product([z, y, x, volume.dtype.size()]).max(1);
    let most = (SHARD_AIM / frame_bytes).min(CHUNKS_AIM / product(layout.chunks_per_shard()));
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
    let frames = if most < volume.times {
        [even(volume.times, most), 1]
    } else {
        let channels = (most / volume.times).min(volume.channels);
        [volume.times, even(volume.channels, channels)]
    };
    layout.with_frames(frames)
}

/// The largest number from 1 to `most` that `fits`; 1 if none does. `fits` must hold for all
/// numbers below one that fits.
fn largest(most: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (1, most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// The least count that needs no more shards than `count` does, so that the last shard is not a
/// sliver.
pub(crate) fn even(total: usize, count: usize) -> usize {
    total.div_ceil(total.div_ceil(count))
}

/// Saturating product.
pub(super) fn product<const N: usize>(factors: [usize; N]) -> u64 {
    factors.into_iter().fold(1, |product, n| product.saturating_mul(n as u64))
}
