//! Volumes on disk; the only importer of zarrs.
//!
//! # The format, version 1
//!
//! A dataset is a Zarr v3 hierarchy that any Zarr reader can use:
//!
//! ```text
//! scans.zarr/
//!   zarr.json                     group; attributes.voxpatch = {version, role: "dataset"}
//!   case01/
//!     zarr.json                   group; attributes.voxpatch = {version, role: "subject"}
//!     image/
//!       zarr.json                 OME-Zarr 0.5 image; attributes.ome, attributes.voxpatch
//!       0/
//!         zarr.json               array (t,) (c,) z, y, x
//!         c/0/0/0 ...             shards
//!         manifest.json           what the volume consists of, written last
//!         sampling.json           of labels and weights: what each block holds
//! ```
//!
//! - **Array.** `sharding_indexed`, index at the end, its codecs `bytes` (little) and `crc32c`.
//!   Chunks: `bytes` (little), one of `blosc`, `zstd`, `gzip` or nothing, then `crc32c`; or
//!   `voxpatch.packed` ([`crate::packed`]), then `crc32c`. Axes of time and channels are there if
//!   longer than 1, and never chunked. Fill value 0. Border chunks are stored whole, zeros beyond
//!   the volume. A chunk of zeros alone is not stored. In a shard, chunks stand layer by layer,
//!   each layer by lines along y if chunks are shorter there than along x, else along x. Readers
//!   must not rely on that order, but on the index. Between the last chunk and the index stand 16
//!   bytes that belong to neither, the shard's tag: the first bytes of the BLAKE3 of the shard's
//!   key, the checksums of its chunks in their order, and the entries of its index.
//! - **Group.** The `ome` attribute is for other readers; `voxpatch` ([`Attributes`]) is the
//!   truth: exact affine, the coordinates it leads to, scaling, kind, layout, statistics, format,
//!   numeric fields and digest of the source. No free text, names, dates or paths of the source are
//!   kept; names of labels are there if whoever converted gave them. Versions 1 and 2 have
//!   `source_format` and `source_fields` instead of `source` and `space`, and no digests. `original_dtype` is there if the
//!   array's type is narrower than the source's: every voxel of it is then to be read as that;
//!   `predicted_from` if the voxels are predictions, made from that volume.
//! - **Manifest.** Digests (BLAKE3) of both documents and of every shard, a digest of the decoded
//!   voxels, in the array's type, that re-encoding keeps, and its own. A shard is missing by intent
//!   only if the manifest says that it is empty. It also names the volume, whether an index for
//!   sampling was published with it, and the tag of every shard; the first stores of version 1 have
//!   none of the three, and are read without these checks.
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
//!   for maps of more than 2^22 pairs; a volume is whole without it.
//!
//! # What is promised
//!
//! - A volume is there as a whole or not at all. It is staged in a hidden folder of the dataset,
//!   synced file by file and folder by folder, renamed into place in one step, and its parents
//!   synced. Replacing exchanges the two folders in one step.
//! - A volume that comes about shard by shard, over several runs and processes, does so in a hidden
//!   folder too (`.aggregate-SUBJECT+IMAGE`, see [`crate::aggregate`]), which lasts until the volume
//!   is published. A shard is synced before it gets its name, so that one that is there is whole.
//! - After a power cut too: what was said to be done is done, and of anything else there is the old
//!   or the new. Names are synced before anything relies on them, removals among them.
//! - Opening a volume checks its manifest and both documents; reading checks each shard's length
//!   and index once, and each chunk's checksum when a handle first decodes it. What fails a check
//!   is an error, never voxels. So are a volume in the place of another, and a shard whose tag is not
//!   the one that the manifest names.
//! - Not promised: disks that lie about flushing, file systems without POSIX rename, and files
//!   changed in place by other programs while a handle has them mapped.

mod ahead;
mod array;
mod cache;
mod chunks;
mod codec;
mod dataset;
mod decode;
mod digest;
mod disk;
mod documents;
mod encode;
mod grid;
#[cfg(test)]
mod hostile;
mod info;
mod job;
mod label_name;
mod layer;
mod local;
mod lock;
mod manifest;
mod name;
mod ome;
mod open_shards;
mod parts;
mod place;
mod plugin;
mod sampling;
mod seal;
mod sealed;
mod shard;
mod source;
mod staging;
mod stored;
mod strips;
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
pub use disk::{Blob, Disk, Stamp};
pub use documents::Attributes;
pub use info::{Distribution, Percentile, VolumeInfo};
pub use job::UnfinishedAggregation;
pub use label_name::LabelName;
pub use local::LocalDisk;
pub use name::VolumeName;
pub use place::Place;
pub use sampling::IndexInfo;
pub use source::SourceInfo;
pub use verify::{Damage, Remedy, VerifyReport, VolumeCheck};
pub use volume::Volume;

pub(crate) use array::ArrayShape;
pub(crate) use cache::HeldChunks;
pub(crate) use digest::VoxelDigest;
pub(crate) use documents::VERSION;
pub use job::Overwrite;
pub(crate) use job::{Checkpoint, EncodeScratch, Job, JobDocument, JobOutput, Note};
pub(crate) use parts::Destination;
pub(crate) use sampling::{Label, SamplingIndex, Tally, real};
pub(crate) use strips::{Strips, layer_bytes};
pub(crate) use trial::encode_chunks;
pub(crate) use writer::VolumeWriter;

/// Name of every Zarr document.
const DOCUMENT: &str = "zarr.json";
