//! Outputs of a plan, each on its own grid of voxels.

use std::path::PathBuf;

use super::Output;
use super::layouts::Uncut;
use crate::error::show;
use crate::layout::{Access, ChunkLayout, PatchShape, VolumeSpec, WeightedPatch, Workload};
use crate::sample::Grid;
use crate::store::ArrayShape;
use crate::{Affine, Error, Result, Space, Spacing, Volume};

/// What an output takes over from the volume that is predicted.
#[derive(Debug, Clone)]
pub(super) struct SourceVolume {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) voxels: String,
    pub(super) affine: Affine,
    pub(super) space: Option<Space>,
    /// The numeric header fields that describe the position of voxels.
    pub(super) fields: serde_json::Map<String, serde_json::Value>,
}

/// Header fields that hold for any volume in the coordinates of the source; the other fields hold
/// only on the grid of the source.
pub(super) const COORDINATES: [&str; 2] = ["sform_code", "qform_code"];
pub(super) const GRID: [&str; 5] = ["pixdim", "xyzt_units", "sform", "qform", "quatern"];

/// An output on its own grid of voxels.
#[derive(Debug)]
pub(super) struct PlannedOutput {
    pub(super) output: Output,
    pub(super) shape: [usize; 3],
    pub(super) spacing: Spacing,
    pub(super) workload: Workload,
    pub(super) layout: ChunkLayout,
}

/// An output on its own grid of voxels, before its chunks are chosen.
#[allow(clippy::cast_precision_loss)]
pub(super) fn uncut(output: Output, source: &Volume, grid: &Grid) -> Result<Uncut> {
    let output = Output { values: output.values.with_exact_scale(), ..output };
    let (volume, patch, factor) = (grid.volume(), grid.patch(), output.factor);
    let shape: [usize; 3] = std::array::from_fn(|a| volume[a] / factor[a]);
    if shape.contains(&0) {
        let reason = format!("leaves no voxel of the volume, {} (z, y, x)", show(&volume));
        return Err(Error::invalid("factor", show(&factor), reason));
    }
    let mm = source.spacing().mm();
    let spacing = Spacing::new(std::array::from_fn(|a| mm[a] * factor[a] as f64))?;
    let workload = if let Some(workload) = &output.workload {
        workload.clone()
    } else {
        let predicted = std::array::from_fn(|a| (patch[a] / factor[a]).min(shape[a]));
        let patch = WeightedPatch::new(PatchShape::Voxels(predicted), 1.0)?;
        Workload::new(vec![patch], Access::Random)?
    };
    let dtype = output.values.dtype(output.channels);
    let channels = output.values.channels(output.channels);
    let spec = VolumeSpec { shape, times: 1, channels, spacing, dtype };
    Ok(Uncut { output, spec, workload })
}

impl PlannedOutput {
    pub(super) fn new(Uncut { output, spec, workload }: Uncut, layout: ChunkLayout) -> Self {
        let VolumeSpec { shape, spacing, .. } = spec;
        Self { output, shape, spacing, workload, layout }
    }

    /// Voxels of a chunk, of one channel.
    pub(super) fn chunk_voxels(&self) -> usize {
        self.layout.chunk.iter().product()
    }

    /// The array that is stored.
    pub(super) fn array(&self) -> ArrayShape {
        let Output { values, channels, .. } = self.output;
        let (dtype, channels) = (values.dtype(channels), values.channels(channels));
        ArrayShape { dtype, times: 1, channels, shape: self.shape }
    }

    /// The header fields of the source that hold for the output too.
    pub(super) fn fields(
        &self,
        source: &SourceVolume,
    ) -> serde_json::Map<String, serde_json::Value> {
        let mut fields = source.fields.clone();
        if self.output.factor != [1; 3] {
            fields.retain(|name, _| COORDINATES.contains(&name.as_str()));
        }
        fields
    }

    /// The affine from voxel `(x, y, z)` to RAS millimetres, given that of the source. The middle
    /// of the `f` voxels from `f n` on is `f n + (f - 1) / 2`.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn affine(&self, source: &Affine) -> Affine {
        let factor = self.output.factor.map(|f| f as f64);
        if self.output.factor == [1; 3] {
            return *source;
        }
        let origin = source.world(factor.map(|f| (f - 1.0) / 2.0));
        let mut affine = *source;
        for (row, mm) in affine.0.iter_mut().zip(origin) {
            // Columns are x, y, z.
            (0..3).for_each(|column| row[column] *= factor[2 - column]);
            row[3] = mm;
        }
        affine
    }
}
