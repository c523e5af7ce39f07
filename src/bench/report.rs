//! The report of a benchmark.

use serde::Serialize;

use super::{Inflated, Machine, Options, Row, cache, machine};
use crate::layout::ChunkLayout;
use crate::store::Volume;
use crate::{Dtype, Error, VolumeName};

/// The results, the machine and the method.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The version of this library.
    pub voxpatch: &'static str,
    /// The machine.
    pub machine: Machine,
    /// Day of the start, in UTC: `2026-11-30`.
    pub date: String,
    /// Approximate seconds per row.
    pub seconds: f64,
    /// Seed of the random patches.
    pub seed: u64,
    /// How cached pages were dropped, if cold rows were requested.
    pub cold_method: Option<&'static str>,
    /// Measured volumes.
    pub volumes: Vec<VolumeReport>,
    /// Volumes that could not be measured.
    pub failed: Vec<Failure>,
}

/// One volume and its rows.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct VolumeReport {
    /// `SUBJECT/IMAGE`.
    pub name: String,
    /// Shape of a frame, `z, y, x`; the first is read.
    pub shape: [usize; 3],
    /// Time points.
    pub times: usize,
    /// Channels.
    pub channels: usize,
    /// Type of the returned voxels.
    pub dtype: Dtype,
    /// Type of the voxels in the store.
    pub stored_dtype: Dtype,
    /// Chunks, shards and codec.
    pub layout: ChunkLayout,
    /// Bytes of all frames, uncompressed.
    pub raw_bytes: u64,
    /// Bytes of all frames in the store.
    pub stored_bytes: u64,
    /// Bytes of the first frame, uncompressed; `None` without a copy.
    pub copy_bytes: Option<u64>,
    /// The same scan as a `.nii.gz`, if one was written.
    pub inflated: Option<Inflated>,
    /// A row for each case.
    pub rows: Vec<Row>,
}

/// A volume that could not be measured.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// `SUBJECT/IMAGE`.
    pub name: String,
    /// The reason.
    pub error: String,
}

impl Report {
    pub(super) fn begin(options: &Options) -> Self {
        Self {
            voxpatch: env!("CARGO_PKG_VERSION"),
            machine: Machine::here(),
            date: machine::today(),
            seconds: options.seconds,
            seed: options.seed,
            cold_method: options.cold.then_some(cache::METHOD),
            volumes: Vec::new(),
            failed: Vec::new(),
        }
    }
}

impl VolumeReport {
    /// The description of a volume before any measurement.
    pub(super) fn of(volume: &Volume) -> Self {
        Self {
            name: volume.name().to_string(),
            shape: volume.shape(),
            times: volume.times(),
            channels: volume.channels(),
            dtype: volume.dtype(),
            stored_dtype: volume.stored_dtype(),
            layout: *volume.layout(),
            raw_bytes: volume.raw_bytes(),
            stored_bytes: volume.stored_bytes(),
            copy_bytes: None,
            inflated: None,
            rows: Vec::new(),
        }
    }
}

impl Failure {
    pub(super) fn new(name: &VolumeName, error: &Error) -> Self {
        Self { name: name.to_string(), error: error.to_string() }
    }
}
