//! Voxels of the other byte order.

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scan) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(in crate::scan) const NATIVE: Self =
        if cfg!(target_endian = "little") { Self::Little } else { Self::Big };
}

/// Reverses the bytes of every item of `size` bytes (1, 2, 4 or 8) in place.
pub(in crate::scan) fn reverse_each(bytes: &mut [u8], size: usize) {
    match size {
        2 => reverse::<2>(bytes),
        4 => reverse::<4>(bytes),
        8 => reverse::<8>(bytes),
        _ => {}
    }
}

/// The size is a constant, so that the loop compiles to byte shuffles of whole registers.
fn reverse<const N: usize>(bytes: &mut [u8]) {
    for item in bytes.as_chunks_mut::<N>().0 {
        item.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_reversed_one_by_one() {
        for (size, expected) in
            [(1, *b"abcdefgh"), (2, *b"badcfehg"), (4, *b"dcbahgfe"), (8, *b"hgfedcba")]
        {
            let mut bytes = *b"abcdefgh";
            reverse_each(&mut bytes, size);
            assert_eq!(bytes, expected);
        }
    }
}
