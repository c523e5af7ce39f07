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

/// Rows of voxels in two memories.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    /// Rows.
    pub(super) rows: usize,
    /// Voxels of a row.
    pub(super) width: usize,
    /// Bytes from a stored row to the next.
    pub(super) from: usize,
    /// Bytes from a row in the caller's buffer to the next.
    pub(super) to: usize,
}

impl Rows {
    /// Converts rows of stored voxels, in native byte order; of voxels that are only copied, one.
    pub(super) fn convert(self, stored: &[u8], out: &mut [u8], steps: Steps) {
        let Steps { rows, width, from, to } = steps;
        match self {
            Self::Copy => out[..stored.len()].copy_from_slice(stored),
            Self::Widen(widening) => {
                let [narrow, wide] = [widening.from, widening.to].map(|of| width * of.size());
                for n in 0..rows {
                    widening.widen(&stored[n * from..][..narrow], &mut out[n * to..][..wide]);
                }
            }
            Self::Cast(cast) => (cast.0)(stored, out, steps),
            Self::ToF32 { dtype, real } => with_element!(dtype, T => {
                real_rows::<T, { size_of::<T>() }>(real, stored, out, steps);
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

fn real_rows<T: Element, const N: usize>(real: Real, stored: &[u8], out: &mut [u8], steps: Steps) {
    let Real { scaling: Scaling { slope, intercept }, normalise } = real;
    // What is the same for all voxels is asked here, so that many are computed at once.
    #[allow(clippy::float_cmp)]
    let as_stored = slope == 1.0 && intercept == 0.0 && normalise.is_none();
    if as_stored && T::DTYPE.is_integer() && N <= 4 {
        // Exact in `f64`, so that its way to `f32` is the direct one.
        each::<T, N, f32, 4>(stored, out, steps, Element::to_f32);
    } else if normalise.is_none() {
        let real = Real { normalise: None, ..real };
        each::<T, N, f32, 4>(stored, out, steps, |voxel| real.of(voxel.to_f64()));
    } else {
        each::<T, N, f32, 4>(stored, out, steps, |voxel| real.of(voxel.to_f64()));
    }
}

/// Voxels of a row as the codec of our own decodes them.
const USUAL: usize = 16;

/// Converts every voxel of rows; `N` and `M` are the bytes of a voxel.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the conversion belongs into the loop")]
fn each<S: Element, const N: usize, D: Element, const M: usize>(
    stored: &[u8],
    out: &mut [u8],
    Steps { rows, width, from, to }: Steps,
    value: impl Fn(S) -> D + Copy,
) {
    let convert = |stored: &[u8], out: &mut [u8]| {
        for (voxel, out) in stored.as_chunks::<N>().0.iter().zip(out.as_chunks_mut::<M>().0) {
            out.copy_from_slice(bytemuck::bytes_of(&value(bytemuck::pod_read_unaligned(voxel))));
        }
    };
    for n in 0..rows {
        let (stored, out) = (&stored[n * from..][..width * N], &mut out[n * to..][..width * M]);
        // A length that the compiler knows, so that there is no rest to look for.
        if width == USUAL {
            convert(&stored[..USUAL * N], &mut out[..USUAL * M]);
        } else {
            convert(stored, out);
        }
    }
}

/// From one type to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cast(fn(&[u8], &mut [u8], Steps));

impl Cast {
    /// Integers become the nearest that the type has; all else is as [`Element::from_f64`] has it,
    /// but that an `f32` is rounded once.
    pub(crate) fn between(from: Dtype, to: Dtype) -> Self {
        let rows: fn(&[u8], &mut [u8], Steps) = with_element!(from, S => with_element!(to, D => {
            cast_rows::<S, { size_of::<S>() }, D, { size_of::<D>() }>
        }));
        Self(rows)
    }
}

fn cast_rows<S: Element, const N: usize, D: Element, const M: usize>(
    stored: &[u8],
    out: &mut [u8],
    steps: Steps,
) {
    each::<S, N, D, M>(stored, out, steps, cast);
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
