//! Volumes and what they consist of, on any [`crate::disk::Disk`]; the only importer of zarrs.
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
//!         0/
//!           zarr.json             array (t,) (c,) z, y, x
//!           c/0/0/0 ...           shards
//!           sampling.json         of labels and weights: what each block holds
//!           manifest.json         what the volume consists of, written last
//! ```
//!
//! - **Pointer.** Which generation counts. The `ome` attribute is for other readers, and its
//!   `datasets[0].path` is `g-.../0`, so that they follow. The name of a generation is `g-` and 16
//!   hexadecimal digits that no other writer has.
//! - **Array.** `sharding_indexed`, index at the end, its codecs `bytes` (little) and `crc32c`.
//!   Chunks: `bytes` (little), one of `blosc`, `zstd`, `gzip` or nothing, then `crc32c`; or
//!   `voxpatch.packed` ([`crate::packed`]), then `crc32c`. Axes of time and channels are there if
//!   longer than 1; a chunk is of one frame, a shard of one or of several. Fill value 0. Border
//!   chunks are stored whole, zeros beyond the volume. A chunk of zeros alone is not stored. In a
//!   shard, chunks stand layer by layer, each layer by lines along y if chunks are shorter there
//!   than along x, else along x. Readers must not rely on that order, but on the index. Between the
//!   last chunk and the index stand 16 bytes that belong to neither, the shard's tag: the first
//!   bytes of the BLAKE3 of the shard's key, the checksums of its chunks in their order, and the
//!   entries of its index.
//! - **Group.** [`Attributes`] is the truth about the voxels: exact affine, the coordinates that it
//!   leads to, scaling, kind, layout, statistics, and of the source its format, numeric fields and
//!   digest. No free text, names, dates or paths of the source are kept; names of labels are there
//!   if whoever converted gave them. `original_dtype` is there if the array's type is narrower than the source's: every
//!   voxel of it is then to be read as that; `predicted_from` if the voxels are predictions, made
//!   from that volume.
//! - **Manifest.** Digests (BLAKE3) of the group's and the array's documents, of the pointer's OME
//!   metadata (as JSON with sorted keys and without spaces) and of every shard, a digest of the
//!   decoded voxels, in the array's type, that re-encoding keeps, and its own. A shard is missing by
//!   intent only if the manifest says that it is empty. It also names the volume, the generation,
//!   the tag of every shard, and whether an index for sampling was published with the volume.
//! - **Index for sampling.** `{"blake3": H, "sampling": S}`, sealed as the manifest. S is
//!   `{version: 2, voxels, scaling, shape, block, frames}`: the digest of the voxels as in the
//!   manifest, the scaling that made weights of them, the shapes of a frame and of a block
//!   ([`crate::sample::BLOCK`]), and for each frame, in order of time, then channel, either
//!   `{"classes": [{label, blocks: [[block, voxels], ...]}, ...]}`, every label that occurs,
//!   ascending, or `{"weights": [[block, sum], ...]}`, every block with a positive sum of real
//!   values. Blocks are numbered in C order over their grid and ascend; only voxels inside the
//!   volume count. It is the same whatever the chunks. Refused if the voxels, the scaling of
//!   weights or the shapes are not those of the volume. Version 1 counted chunks, and is taken for
//!   no index. Not there for intensities, for labels stored as floats or beyond int64, and
//!   for maps of more than 2^22 pairs; a volume is whole without it. The one file of a generation
//!   that may be written later.
//!
//! Volumes of versions 1 and 2 are read as they are. They have no generation: the pointer is the
//! group, and the array lies beside it in `0`. Their attributes have `source_format` and
//! `source_fields` instead of `source` and `space`, and no digests. In version 1 a shard is of one frame; the first of
//! them have no tags.
//!
//! # What is promised
//!
//! - A volume is there as a whole or not at all. Its generation is written and flushed, and then the
//!   pointer is created, or replaced by compare-and-swap: of several writers one wins, and the
//!   others are told. The files of a volume that was replaced go; a handle that still needs some of
//!   them ends with [`crate::Error::Replaced`], never with a mixture.
//! - A volume that comes about shard by shard, over several runs and processes, has its shards put
//!   into their generation at once; what else there is of it lies in a hidden folder
//!   (`.aggregate-SUBJECT+IMAGE`, see [`crate::aggregate`]) until the volume is published.
//! - After a power cut too: what was said to be done is done, and of anything else there is the old
//!   or the new.
//! - What a killed writer leaves is in nobody's way: no name is used twice. [`Dataset::sweep`]
//!   removes what nobody names.
//! - Opening a volume checks its pointer, its manifest and both documents; reading checks each
//!   shard's index and tag once, and each chunk's checksum when a handle first decodes the chunk.
//!   What fails a check is an error, never voxels. So is a volume in the place of another.
//! - Not promised: disks that lie about flushing, and files changed in place by other programs while
//!   a handle has them mapped.

mod array;
mod boxes;
mod cache;
mod chunks;
mod codec;
mod dataset;
mod decode;
mod destination;
mod digest;
mod documents;
mod encode;
mod gather;
mod generation;
mod grid;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hostile_pointer;
mod info;
mod job;
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
mod plugin;
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

pub(crate) use array::ArrayShape;
pub(crate) use cache::HeldChunks;
pub(crate) use chunks::ChunkAt;
pub(crate) use destination::{Destination, Slab};
pub(crate) use digest::VoxelDigest;
pub(crate) use documents::VERSION;
pub use job::Overwrite;
pub(crate) use job::{Checkpoint, EncodeScratch, Job, JobDocument, JobOutput, Note};
pub(crate) use look::Look;
pub(crate) use sampling::{Label, SamplingIndex, Tally, real};
pub(crate) use strips::{Strips, layer_bytes};
pub(crate) use trial::encode_chunks;
pub(crate) use writer::VolumeWriter;

/// Name of every Zarr document.
const DOCUMENT: &str = "zarr.json";
