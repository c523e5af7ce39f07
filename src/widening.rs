//! Pairs of voxel types, in which the wider type holds every voxel of the narrower exactly, and the
//! conversions between them.

use crate::{Dtype, Element};

/// An integer type, and a type of more bytes that holds all its values. Rows of voxels are bytes,
/// in the byte order of this machine and with any alignment.
#[derive(Debug)]
pub(crate) struct Widening {
    /// The narrower type.
    pub(crate) from: Dtype,
    /// The wider type.
    pub(crate) to: Dtype,
    widen: fn(&[u8], &mut [u8]),
    narrow: fn(&[u8], &mut [u8]) -> bool,
    holds: fn(&[u8]) -> bool,
}

/// Compared by the types, because there is one pair of each.
impl PartialEq for Widening {
    fn eq(&self, other: &Self) -> bool {
        (self.from, self.to) == (other.from, other.to)
    }
}

impl Widening {
    /// The pair of these types; `None` if `to` does not hold all of `from` in more bytes.
    pub(crate) fn between(from: Dtype, to: Dtype) -> Option<&'static Self> {
        Self::to(to).find(|pair| pair.from == from)
    }

    /// Every pair with this wider type: the narrowest first, and unsigned before signed.
    pub(crate) fn to(to: Dtype) -> impl Iterator<Item = &'static Self> {
        PAIRS.iter().filter(move |pair| pair.to == to)
    }

    /// Widens a row to `wide`, which has as many voxels.
    pub(crate) fn widen(&self, narrow: &[u8], wide: &mut [u8]) {
        (self.widen)(narrow, wide);
    }

    /// Narrows a row to `narrow`, which has as many voxels. False if widening would not restore the
    /// same bits; `narrow` is then undefined.
    pub(crate) fn narrow(&self, wide: &[u8], narrow: &mut [u8]) -> bool {
        (self.narrow)(wide, narrow)
    }

    /// Whether the narrower type holds every one of these voxels of the wider, bit for bit.
    pub(crate) fn holds(&self, wide: &[u8]) -> bool {
        (self.holds)(wide)
    }

    const fn of<N: Element, W: Wider<N>>() -> Self {
        Self {
            from: N::DTYPE,
            to: W::DTYPE,
            widen: widen::<N, W>,
            narrow: narrow::<N, W>,
            holds: holds::<N, W>,
        }
    }
}

/// A type that holds every voxel of `N`, as `From` guarantees.
trait Wider<N: Element>: Element + From<N> {
    /// The voxel as `N`, possibly changed.
    fn cast(self) -> N;

    /// Whether widening `narrow` gives this voxel. Bits are compared: -0 differs from 0, and NaN
    /// from every integer.
    fn is(self, narrow: N) -> bool {
        bytemuck::bytes_of(&self) == bytemuck::bytes_of(&Self::from(narrow))
    }
}

macro_rules! pairs {
    ($($narrow:ident in $($wide:ident)*;)*) => {
        $($(
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]
            impl Wider<$narrow> for $wide {
                fn cast(self) -> $narrow {
                    self as $narrow
                }
            }
        )*)*

        static PAIRS: &[Widening] = &[$($(Widening::of::<$narrow, $wide>()),*),*];
    };
}

pairs! {
    u8 in u16 u32 u64 i16 i32 i64 f32 f64;
    i8 in i16 i32 i64 f32 f64;
    u16 in u32 u64 i32 i64 f32 f64;
    i16 in i32 i64 f32 f64;
    u32 in u64 i64 f64;
    i32 in i64 f64;
}

fn widen<N: Element, W: Wider<N>>(narrow: &[u8], wide: &mut [u8]) {
    for (voxel, out) in voxels::<N>(narrow).zip(wide.chunks_exact_mut(size_of::<W>())) {
        out.copy_from_slice(bytemuck::bytes_of(&W::from(voxel)));
    }
}

fn narrow<N: Element, W: Wider<N>>(wide: &[u8], narrow: &mut [u8]) -> bool {
    let mut same = true;
    for (voxel, out) in voxels::<W>(wide).zip(narrow.chunks_exact_mut(size_of::<N>())) {
        same &= voxel.is(voxel.cast());
        out.copy_from_slice(bytemuck::bytes_of(&voxel.cast()));
    }
    same
}

/// Checks every voxel: without an early exit, the loop compiles to vector instructions.
fn holds<N: Element, W: Wider<N>>(wide: &[u8]) -> bool {
    voxels::<W>(wide).fold(true, |same, voxel| same & voxel.is(voxel.cast()))
}

fn voxels<T: Element>(bytes: &[u8]) -> impl Iterator<Item = T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned)
}
