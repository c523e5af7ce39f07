//! `NumPy`'s file of one array, version 1.0.

use std::io::{self, Write};

use ndarray::Array3;
use voxpatch::{Dtype, Element};

/// Where the voxels begin is a multiple of this.
const ALIGNMENT: usize = 64;
/// Magic, version and the length of the text.
const BEFORE_TEXT: usize = 10;

/// Writes an array, `z, y, x`, in the byte order of this machine.
pub fn write<T: Element>(array: &Array3<T>, out: &mut impl Write) -> io::Result<()> {
    let array = array.as_standard_layout();
    out.write_all(&header(T::DTYPE, array.dim().into()))?;
    out.write_all(bytemuck::cast_slice(array.as_slice().unwrap_or_default()))
}

fn header(dtype: Dtype, [z, y, x]: [usize; 3]) -> Vec<u8> {
    let kind = if dtype.is_integer() { &dtype.name()[..1] } else { "f" };
    let order = match dtype.size() {
        1 => "|",
        _ if cfg!(target_endian = "big") => ">",
        _ => "<",
    };
    let size = dtype.size();
    let mut text = format!(
        "{{'descr': '{order}{kind}{size}', 'fortran_order': False, 'shape': ({z}, {y}, {x}), }}"
    );
    // Spaces, then the end of the line.
    let length = (BEFORE_TEXT + text.len() + 1).next_multiple_of(ALIGNMENT) - BEFORE_TEXT;
    text.extend(std::iter::repeat_n(' ', length - text.len() - 1));
    text.push('\n');
    // Three numbers of 20 digits at most leave it far below 16 bits.
    let length = u16::try_from(length).unwrap_or_default().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_numpy() {
        let found = header(Dtype::Float16, [3, 40, 5]);
        let text = "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 40, 5), }";
        let padded = format!("{text:117}\n");
        assert_eq!(found, [b"\x93NUMPY\x01\x00\x76\x00", padded.as_bytes()].concat());
        let text = |dtype| String::from_utf8_lossy(&header(dtype, [1; 3])).into_owned();
        assert!(text(Dtype::UInt8).contains("'|u1'") && text(Dtype::Int8).contains("'|i1'"));
        assert!(text(Dtype::Int64).contains("'<i8'") && text(Dtype::Float64).contains("'<f8'"));
        let long = header(Dtype::UInt8, [usize::MAX; 3]);
        assert!(long.len() == 192 && long.ends_with(b"\n"));
    }
}
