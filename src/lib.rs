//! Patches of 3D medical scans, read straight from chunked, compressed out-of-core storage, without
//! ever holding a scan in memory.
//!
//! A scan is converted once, into a compressed, sharded Zarr v3 array whose chunks suit the
//! patches that will be read. From then on any cuboid of it is a query:
//!
//! ```
//! use voxpatch::layout::{Access, Workload};
//! use voxpatch::{ConvertOptions, Dataset, Padding, Pool, Region};
//! # use voxpatch::{Affine, Dtype, Spacing, phantom::ChestPhantom};
//! # use voxpatch::scan::nifti::{NiftiWriter, WriteHeader};
//!
//! # fn main() -> voxpatch::Result<()> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let (path, out) = (folder.path().join("ct.nii"), folder.path().join("scans.zarr"));
//! # let (shape, spacing) = ([40, 48, 56], Spacing::new([1.5, 0.7, 0.7])?);
//! # let (dtype, affine) = (Dtype::Int16, Affine::from_spacing(spacing));
//! # let phantom = ChestPhantom::new(shape, spacing)?;
//! # let header = WriteHeader { dtype, shape, times: 1, channels: 1, affine, scaling: None,
//! #     space: None, time_step: None, is_label: false };
//! # let mut writer = NiftiWriter::create(&path, &header, None)?;
//! # let mut plane = vec![0_i16; 48 * 56];
//! # for z in 0..40 {
//! #     phantom.plane(z, &mut plane)?;
//! #     writer.write_planes(bytemuck::cast_slice(&plane))?;
//! # }
//! # writer.finish()?;
//! // Once: file -> planes -> chunks -> shards, in memory that does not grow with the scan.
//! let scan = voxpatch::scan::open(&path)?;
//! let workload = Workload::new(vec!["16x32x32".parse()?], Access::Random)?;
//! let options = ConvertOptions::default().workload(Some(workload));
//! let name = "case01/image".parse()?;
//! let pool = Pool::new(2)?;
//! voxpatch::convert(scan, &Dataset::create(&out)?, &name, &options, &pool, &|_bytes| true)?;
//!
//! // Ever after: any cuboid, start and shape in z, y, x.
//! let ct = Dataset::open(&out)?.volume("case01/image")?;
//! let patch = ct.read::<i16>(Region::new([10, 3, 7], [16, 32, 32]))?;
//! assert_eq!(patch.shape(), [16, 32, 32]);
//!
//! // A batch, by the threads of the pool: a chunk that patches share is decoded once.
//! let regions = [[10, 3, 7], [12, 8, 7]].map(|start| Region::new(start, [16, 32, 32]));
//! assert_eq!(ct.read_many::<i16>(&regions, &pool)?.shape(), [2, 16, 32, 32]);
//!
//! // Into a buffer of yours, as real values, beyond the border if you like.
//! let mut buffer = vec![0_f32; 16 * 32 * 32];
//! let view = ct.view().scaled().padded(Padding::Constant(-1024.0));
//! view.read_into(Region::new([-4, 20, 30], [16, 32, 32]), &mut buffer)?;
//! # Ok(())
//! # }
//! ```
//!
//! # The map
//!
//! A voxel moves from left to right, and imports point to the left only:
//!
//! ```text
//! scan  ->  layout  ->  codec  ->  store  ->  query  ->  (your model)  ->  aggregate  ->  store
//!    \_____________ ingest __________/ |        /                            /
//!     \______________ export __________/       /                            /
//!                                  sample ____/____________________________/
//!                                             \_________ predict _________/
//! ```
//!
//! | station | what it does | what it alone knows |
//! | --- | --- | --- |
//! | [`scan`] | files and folders to planes of voxels, and back | medical file formats |
//! | [`layout`] | chooses chunks and shards for a workload, and explains the choice | costs |
//! | `codec` | voxels of one chunk to bytes and back | compressed formats |
//! | [`disk`] | documents, swapped one by one, and large files: local, or a disk of yours | where bytes lie |
//! | [`sample`] | where patches lie: uniform, by label, by weight, on a grid | chance |
//! | `store` | [`Dataset`], [`Volume`], [`View`]: volumes on disk: format, publication, checksums | Zarr |
//! | `ingest` | scan + layout + store: [`convert`] | |
//! | `export` | store + scan: [`export()`], a volume as a file again | |
//! | `query` | [`View::read`], [`View::read_many`], [`View::read_bytes`], [`Aligned`], [`stream`] | |
//! | [`aggregate`] | predictions of overlapping patches to volumes: [`aggregate::Aggregator`] | how they are blended |
//! | [`predict`] | query + aggregate: any program as your model | .npy, child processes |
//! | [`bench`](mod@bench) | store + query + scan: how fast patches are read | clocks |
//!
//! Below them lies what all share: [`Dtype`], [`Region`], [`Frame`], [`Affine`], [`Space`],
//! [`Padding`], [`Normalise`], [`statistics`], [`Error`]; threads are made in one file, as a
//! [`Pool`] or as workers, memory is mapped in another, and files are made to last in a third.
//!
//! # Conventions
//!
//! - Triples and arrays are in `z, y, x` order, C-contiguous. One exception is the field's own:
//!   the matrix of an [`Affine`] takes `(x, y, z)` and gives RAS+ millimetres.
//! - Voxels are stored as the file has them, or on request as narrower integers that are equal to
//!   them, and are always returned in the file's type. Scaling is applied on request, when reading.
//! - One thread or many, in whatever order: the same bytes. Reading runs on the calling thread.
//! - Whatever bytes a file holds, the answer is an [`Error`] or the voxels, never a panic.

mod dtype;
mod durable;
mod error;
mod exec;
mod finding;
mod frame;
mod geometry;
mod hint;
mod kind;
mod mapped;
mod morton;
mod normalise;
#[doc(hidden)]
pub mod npy;
mod padding;
mod process;
mod setters;
mod space;
mod staged;
pub mod statistics;
mod unique;
mod widening;

pub mod disk;

#[doc(hidden)]
pub mod phantom;

pub mod scan;

pub mod layout;

mod codec;

#[doc(hidden)]
pub use codec::packed;

pub mod sample;

mod store;

mod ingest;

mod export;

mod query;

pub mod aggregate;

pub mod predict;

pub mod bench;

pub use dtype::{Dtype, Element, Scaling, f16};
pub use error::{Error, Result};
pub use exec::Pool;
pub use export::{ExportOptions, ExportReport, export};
pub use finding::{Certainty, Finding};
pub use frame::{FourthAxis, Frame, Frames};
pub use geometry::{Affine, Region, Spacing, voxels};
pub use hint::Hint;
pub use ingest::{CodecTrial, ConvertOptions, ConvertReport, convert, is_converted};
pub use kind::Kind;
pub use normalise::Normalise;
pub use padding::Padding;
pub use query::stream;
pub use query::{Aligned, Buffer, PatchBuffer, ReadCost, Voxels};
pub use space::Space;
pub use staged::StagedFile;
pub use store::{
    Attributes, Axes, CacheCounts, ChunkCache, Damage, Dataset, Distribution, IndexInfo, LabelName,
    Percentile, Place, Remedy, SourceInfo, SweepReport, Swept, UnfinishedAggregation, VerifyReport,
    View, Volume, VolumeCheck, VolumeInfo, VolumeName,
};

pub(crate) use statistics::Statistics;
