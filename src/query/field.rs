//! A view as what samplers ask it: its index, and labels or weights of a region.

use std::sync::Arc;

use super::bounds::too_large;
use crate::sample::{BlockIndex, Field};
use crate::store::{Label, View, Volume, real};
use crate::{Element, Error, Kind, Region, Result, with_element};

/// Voxels that are turned into labels or weights together.
const BLOCK: usize = 64;

/// The view's frame; its padding, and as what it returns voxels, make no difference.
impl Field for View {
    fn shape(&self) -> [usize; 3] {
        self.volume().shape()
    }

    fn index(&self) -> Result<Arc<BlockIndex>> {
        self.block_index()
    }

    fn labels(&self, region: Region, out: &mut Vec<i64>) -> Result<()> {
        self.volume().check_countable(Kind::Label)?;
        with_element!(self.volume().stored_dtype(), T => {
            let beyond = |voxel: T| {
                let reason = "is beyond int64, the type that labels are sampled as";
                Error::invalid("label", format!("{voxel:?}"), reason)
            };
            fetch(self, region, out, |voxel: T| voxel.label().ok_or_else(|| beyond(voxel)))
        })
    }

    fn weights(&self, region: Region, out: &mut Vec<f64>) -> Result<()> {
        self.volume().check_countable(Kind::Weights)?;
        let scaling = self.volume().attributes().scaling;
        with_element!(self.volume().stored_dtype(), T => {
            fetch(self, region, out, |voxel: T| Ok(real(voxel, scaling)))
        })
    }
}

/// The first frame.
impl Field for Volume {
    fn shape(&self) -> [usize; 3] {
        Self::shape(self)
    }

    fn index(&self) -> Result<Arc<BlockIndex>> {
        self.block_index()
    }

    fn labels(&self, region: Region, out: &mut Vec<i64>) -> Result<()> {
        self.view().labels(region, out)
    }

    fn weights(&self, region: Region, out: &mut Vec<f64>) -> Result<()> {
        self.view().weights(region, out)
    }
}

/// Reads stored voxels to the end of `out`, and turns them into its elements from the beginning:
/// these take as many bytes or more, so none is overwritten before its turn.
fn fetch<T: Element, W: bytemuck::Pod>(
    view: &View,
    region: Region,
    out: &mut Vec<W>,
    convert: impl Fn(T) -> Result<W>,
) -> Result<()> {
    let view = view.as_stored();
    let shape = view.volume().shape();
    if !region.is_inside(shape) {
        return Err(Error::OutOfBounds { region, shape });
    }
    let n = region.voxels().ok_or_else(|| too_large(region))?;
    out.try_reserve(n.saturating_sub(out.len())).map_err(|_| too_large(region))?;
    out.resize(n, W::zeroed());
    let narrow: &mut [T] = bytemuck::cast_slice_mut(out);
    let first = narrow.len() - n;
    view.read_into(region, &mut narrow[first..])?;
    let mut block = [T::default(); BLOCK];
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        let block = &mut block[..end - start];
        let narrow: &[T] = bytemuck::cast_slice(out);
        block.copy_from_slice(&narrow[first + start..first + end]);
        for (out, voxel) in out[start..end].iter_mut().zip(block) {
            *out = convert(*voxel)?;
        }
    }
    Ok(())
}
