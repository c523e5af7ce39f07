//! Arrays in `NumPy`'s .npy format, version 1.0: a header, then the numbers, little endian.

use std::borrow::Cow;

use crate::{Dtype, Element};

pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// Numbers begin at multiples of this, as `NumPy` requires.
const ALIGNMENT: usize = 64;

/// The header of an array of this shape in a file or a stream; the numbers follow, in C order.
#[must_use]
pub fn header(dtype: Dtype, shape: &[usize]) -> Vec<u8> {
    let kind = if dtype.is_integer() { &dtype.name()[..1] } else { "f" };
    let order = if dtype.size() == 1 { '|' } else { '<' };
    let mut axes = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if shape.len() == 1 {
        // A comma makes it a tuple.
        axes.push(',');
    }
    let size = dtype.size();
    let mut text =
        format!("{{'descr': '{order}{kind}{size}', 'fortran_order': False, 'shape': ({axes}), }}");
    let begun = MAGIC.len() + 4;
    let padded = (begun + text.len() + 1).next_multiple_of(ALIGNMENT);
    text.extend(std::iter::repeat_n(' ', padded - begun - text.len() - 1));
    text.push('\n');
    // Lossless: a few numbers of 20 digits stay far below 16 bits.
    let length = u16::try_from(text.len()).unwrap_or_default();
    [MAGIC, &[1, 0], &length.to_le_bytes(), text.as_bytes()].concat()
}

/// The bytes of voxels after the header.
#[must_use]
pub fn numbers<T: Element>(voxels: &[T]) -> Cow<'_, [u8]> {
    let bytes: &[u8] = bytemuck::cast_slice(voxels);
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(bytes);
    }
    // Reverses the bytes of each number.
    bytes.chunks_exact(size_of::<T>()).flat_map(|n| n.iter().rev().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_numpy() {
        let found = header(Dtype::Float16, &[3, 40, 5]);
        let text = "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 40, 5), }";
        let padded = format!("{text:117}\n");
        assert_eq!(found, [MAGIC, b"\x01\x00\x76\x00", padded.as_bytes()].concat());
        for (dtype, shape, told) in [
            (Dtype::UInt8, &[][..], "'|u1', 'fortran_order': False, 'shape': ()"),
            (Dtype::Int8, &[7], "'|i1', 'fortran_order': False, 'shape': (7,)"),
            (Dtype::Int64, &[1, 2], "'<i8', 'fortran_order': False, 'shape': (1, 2)"),
            (Dtype::Float64, &[usize::MAX; 5], "<f8"),
        ] {
            let header = header(dtype, shape);
            assert!(header.len().is_multiple_of(ALIGNMENT) && header.ends_with(b"\n"));
            let text = String::from_utf8_lossy(&header);
            assert!(text.contains(told), "{text}");
        }
    }
}
