//! Volumes and their files, on any [`crate::disk::Disk`].
//!
//! # The format, version 3
//!
//! A dataset is a Zarr v3 hierarchy that any Zarr reader can use:
//!
//! ```text
//! scans.zarr/
//!   zarr.json                     group; attributes.voxpatch = {version, role: "dataset"}
//!   case01/
//!     zarr.json                   group; attributes.voxpatch = {version, role: "subject"}
//!     image/
//!       zarr.json                 the pointer: OME-Zarr 0.5 image; attributes.voxpatch =
//!                                 {version, generation, manifest: {bytes, blake3}}
//!       g-5f3a91c20b7d4e68/       a generation: files that were written once
//!         zarr.json               group; attributes.voxpatch = Attributes
//!         label-counts            of maps of thousands of labels: the voxels of each label
//!         0/
//!           zarr.json             array (t,) (c,) z, y, x
//!           c/0/0/0 ...           shards
//!           sampling.json         of labels and weights: what each block holds
//!           manifest.json         what the volume consists of, written last
//! ```
//!
//! - **Pointer.** Names the current generation. The `ome` attribute is for other readers, and its
//!   `datasets[0].path` is `g-.../0`, so that these find the array. The name of a generation is
//!   `g-` and 16 random hexadecimal digits, unique to one writer.
//! - **Array.** `sharding_indexed`, index at the end, its codecs `bytes` (little) and `crc32c`.
//!   Chunks: `bytes` (little), one of `blosc`, `zstd`, `gzip` or nothing, then `crc32c`; or
//!   `voxpatch.packed` ([`crate::codec::packed`]), then `crc32c`. Axes of time and channels exist if
//!   longer than 1; a chunk holds one frame, a shard one or several. Fill value 0. Border chunks
//!   are stored whole, with zeros beyond the volume. A chunk of zeros is not stored. In a shard,
//!   chunks are ordered layer by layer, each layer by lines along y if chunks are shorter there
//!   than along x, otherwise along x. Readers must use the index instead of that order. Between the
//!   last chunk and the index are 16 bytes that belong to neither, the shard's tag: the first bytes
//!   of the BLAKE3 of the shard's key, the checksums of its chunks in their order, and the entries
//!   of its index.
//! - **Group.** [`Attributes`] describe the voxels: exact affine and its coordinate system,
//!   scaling, kind, layout, statistics, and of the source its format, numeric fields and digest. No
//!   free text, names, dates or paths of the source are kept; names of labels exist if given to the
//!   conversion. `original_dtype` exists if the array's type is narrower than the source's, to
//!   which every voxel is then converted; `predicted_from` exists if the voxels are predictions,
//!   made from that volume. The counts of more than some 2,000 labels are a file of their own,
//!   `label-counts`, whose length and digest stand in their place as `counts_in`.
//! - **Manifest.** Digests (BLAKE3) of the group's and the array's documents, of the pointer's OME
//!   metadata (as JSON with sorted keys and without spaces) and of every shard; a digest of the
//!   decoded voxels, in the array's type, which re-encoding does not change; and its own digest. A
//!   shard may be missing only if the manifest lists it as empty. The manifest also names the
//!   volume, the generation, the tag of every shard, and whether an index for sampling was
//!   published with the volume.
//! - **Index for sampling.** `{"blake3": H, "sampling": S}`, sealed as the manifest. S is
//!   `{version: 2, voxels, scaling, shape, block, frames}`: the digest of the voxels as in the
//!   manifest, the scaling that gave the weights, the shapes of a frame and of a block
//!   ([`crate::sample::BLOCK`]), and for each frame, ordered by time, then channel, either
//!   `{"classes": [{label, blocks: [[block, voxels], ...]}, ...]}`, every label that occurs,
//!   ascending, or `{"weights": [[block, sum], ...]}`, every block with a positive sum of real
//!   values. Blocks are numbered in C order over their grid and ascend; only voxels inside the
//!   volume count. The index does not depend on chunks. It is refused if the voxels, the scaling of
//!   weights or the shapes are not those of the volume. Version 1 counted chunks, and is ignored.
//!   There is no index for intensities, for labels stored as floats or beyond int64, and for maps
//!   of more than 2^22 pairs; a volume is complete without it. It is the one file of a generation
//!   that may be written later.
//!
//! Volumes of versions 1 and 2 are read without a change. They have no generation: the pointer is
//! the group, and the array lies beside it in `0`. Their attributes have `source_format` and
//! `source_fields` instead of `source` and `space`, and no digests. In version 1 a shard holds one
//! frame; its first stores have no tags.
//!
//! # Guarantees
//!
//! - A volume exists as a whole or not at all. Its generation is written and flushed, then the
//!   pointer is created, or replaced by compare-and-swap: of several writers one wins, and the
//!   others get an error. The files of a replaced volume are removed; a handle that still needs
//!   some of them returns [`crate::Error::Replaced`], never a mixture of voxels.
//! - The shards of a volume that is made over several runs and processes are put into their
//!   generation at once; its other files lie in a hidden folder (`.aggregate-SUBJECT+IMAGE`, see
//!   [`crate::aggregate`]) until the volume is published.
//! - The same holds after a power cut: a change that was reported as done persists; otherwise the
//!   old or the new volume exists.
//! - The remains of a killed writer disturb nobody, because no name is used twice.
//!   [`Dataset::sweep`] removes files that no document names.
//! - Opening a volume checks its pointer, its manifest and both documents; reading checks each
//!   shard's index and tag once, and each chunk's checksum when a handle first decodes the chunk. A
//!   failed check is an error, never voxels. So is a volume moved to the place of another.
//! - Not guaranteed: disks that report a flush without doing it, and files changed in place by
//!   other programs while a handle has them mapped.

mod array;
mod boxes;
mod cache;
mod chunks;
mod dataset;
mod destination;
mod digest;
mod documents;
mod gather;
mod generation;
mod grid;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hostile_pointer;
mod info;
mod job;
mod label_counts;
mod label_name;
mod layer;
mod lock;
mod look;
mod manifest;
mod name;
mod normalisers;
mod ome;
mod open_shards;
mod parts;
mod place;
mod pointer;
mod remove;
mod sampling;
mod scatter;
mod sealed;
mod shard;
mod source;
mod staging;
mod stored;
mod strips;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod trial;
mod values;
mod verify;
mod view;
mod volume;
mod writer;

pub use cache::{CacheCounts, ChunkCache};
pub use dataset::Dataset;
pub use documents::Attributes;
pub use info::{Distribution, Percentile, VolumeInfo};
pub use job::UnfinishedAggregation;
pub use label_name::LabelName;
pub use name::VolumeName;
pub use place::Place;
pub use sampling::IndexInfo;
pub use source::SourceInfo;
pub use sweep::{SweepReport, Swept};
pub use verify::{Damage, Remedy, VerifyReport, VolumeCheck};
pub use view::{Axes, View};
pub use volume::Volume;

pub(crate) use crate::codec::EncodeScratch;
pub(crate) use array::ArrayShape;
pub(crate) use cache::HeldChunks;
pub(crate) use chunks::ChunkAt;
pub(crate) use destination::{Destination, Slab};
pub(crate) use digest::VoxelDigest;
pub(crate) use documents::VERSION;
pub use job::Overwrite;
pub(crate) use job::{Checkpoint, Job, JobDocument, JobOutput, Note};
pub(crate) use look::Look;
pub(crate) use sampling::{Label, SamplingIndex, Tally, real};
pub(crate) use strips::{Strips, layer_bytes};
pub(crate) use trial::encode_chunks;
pub(crate) use writer::VolumeWriter;

/// Name of every Zarr document.
const DOCUMENT: &str = "zarr.json";
