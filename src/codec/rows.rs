//! What happens to a row of voxels on its way into the caller's buffer.

use crate::normalise::Normalise;
use crate::widening::Widening;
use crate::{Dtype, Element, Scaling, with_element};

/// What happens to a row on its way into the caller's buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows {
    /// Bytes as stored.
    Copy,
    /// To a wider type.
    Widen(&'static Widening),
    /// To any type: the nearest value that it has.
    Cast(Cast),
    /// To `f32`, by way of the real value.
    ToF32 {
        /// Type of the stored voxels.
        dtype: Dtype,
        /// From there to the value.
        real: Real,
    },
}

impl Rows {
    /// Converts one row of stored voxels, in native byte order, to the beginning of `out`.
    pub(super) fn convert(self, stored: &[u8], out: &mut [u8]) {
        match self {
            Self::Copy => out[..stored.len()].copy_from_slice(stored),
            Self::Widen(widening) => widening.widen(stored, out),
            Self::Cast(cast) => (cast.0)(stored, out),
            Self::ToF32 { dtype, real } => with_element!(dtype, T => {
                real_row::<T, { size_of::<T>() }>(real, stored, out);
            }),
        }
    }

    /// What becomes of a stored 0, if its bytes are not all 0.
    pub(super) fn of_zero(self) -> Option<[u8; 4]> {
        match self {
            // Zero bytes are 0 in every type.
            Self::Copy | Self::Widen(_) | Self::Cast(_) => None,
            Self::ToF32 { real, .. } => Some(real.of(0.0).to_ne_bytes()),
        }
    }
}

/// From a stored voxel to a real value, normalised or not: computed as `f64`, rounded once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Real {
    pub(crate) scaling: Scaling,
    pub(crate) normalise: Option<Normalise>,
}

impl Real {
    #[allow(clippy::cast_possible_truncation)]
    #[inline]
    fn of(self, stored: f64) -> f32 {
        let value = stored * self.scaling.slope + self.scaling.intercept;
        self.normalise.map_or(value, |normalise| normalise.apply(value)) as f32
    }
}

fn real_row<T: Element, const N: usize>(real: Real, stored: &[u8], out: &mut [u8]) {
    let Real { scaling: Scaling { slope, intercept }, normalise } = real;
    // What is the same for all voxels is asked here, so that many are computed at once.
    #[allow(clippy::float_cmp)]
    let as_stored = slope == 1.0 && intercept == 0.0 && normalise.is_none();
    if as_stored && T::DTYPE.is_integer() && N <= 4 {
        // Exact in `f64`, so that its way to `f32` is the direct one.
        each::<T, N>(stored, out, Element::to_f32);
    } else if normalise.is_none() {
        let real = Real { normalise: None, ..real };
        each::<T, N>(stored, out, |voxel| real.of(voxel.to_f64()));
    } else {
        each::<T, N>(stored, out, |voxel| real.of(voxel.to_f64()));
    }
}

#[inline]
fn each<T: Element, const N: usize>(stored: &[u8], out: &mut [u8], value: impl Fn(T) -> f32) {
    for (voxel, out) in stored.as_chunks::<N>().0.iter().zip(out.as_chunks_mut().0) {
        *out = value(bytemuck::pod_read_unaligned(voxel)).to_ne_bytes();
    }
}

/// From one type to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cast(fn(&[u8], &mut [u8]));

impl Cast {
    /// Integers become the nearest that the type has; all else is as [`Element::from_f64`] has it,
    /// but that an `f32` is rounded once.
    pub(crate) fn between(from: Dtype, to: Dtype) -> Self {
        let row: fn(&[u8], &mut [u8]) = with_element!(from, S => with_element!(to, D => {
            cast_row::<S, { size_of::<S>() }, D, { size_of::<D>() }>
        }));
        Self(row)
    }
}

fn cast_row<S: Element, const N: usize, D: Element, const M: usize>(stored: &[u8], out: &mut [u8]) {
    for (voxel, out) in stored.as_chunks::<N>().0.iter().zip(out.as_chunks_mut::<M>().0) {
        let voxel = cast::<S, D>(bytemuck::pod_read_unaligned(voxel));
        out.copy_from_slice(bytemuck::bytes_of(&voxel));
    }
}

#[inline]
fn cast<S: Element, D: Element>(voxel: S) -> D {
    if S::DTYPE.is_integer() && D::DTYPE.is_integer() {
        D::from_integer(voxel.to_integer())
    } else if D::DTYPE == Dtype::Float32 {
        D::from_f64(voxel.to_f32().into())
    } else {
        D::from_f64(voxel.to_f64())
    }
}
