//! Arbitrary bytes as a chunk of `packed`: the result is an error or voxels, the same from every
//! kernel, and encoding restores the voxels.
//!
//! The first bytes of an input are the type and the shape, the rest is the chunk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxpatch::{Dtype, packed};

const DTYPES: [Dtype; 6] =
    [Dtype::UInt8, Dtype::Int8, Dtype::UInt16, Dtype::Int16, Dtype::UInt32, Dtype::Int32];

/// Of a chunk; enough for several of everything, and quick to decode.
const MOST_VOXELS: usize = 1 << 18;

fuzz_target!(|input: &[u8]| {
    let [kind, z, y, x, encoded @ ..] = input else { return };
    let dtype = DTYPES[usize::from(kind % 6)];
    let shape = [z, y, x].map(|n| usize::from(*n) + 1);
    if shape.iter().product::<usize>() > MOST_VOXELS {
        return;
    }
    let by_kernel = |kernel| {
        let mut voxels = vec![0; shape.iter().product::<usize>() * dtype.size()];
        let decoded = packed::decode_on(kernel, encoded, shape, dtype, &mut voxels)?;
        Some(decoded.map(|()| voxels).map_err(|e| e.to_string()))
    };
    let answers: Vec<_> = (0..).map_while(by_kernel).collect();
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{shape:?} {dtype}");
    let Some(Ok(voxels)) = answers.first() else { return };
    let again = packed::encode(voxels, shape, dtype, kind / 6).expect("voxels of this shape");
    let mut found = vec![0; voxels.len()];
    packed::decode(&again, shape, dtype, &mut found).expect("a sound chunk");
    assert!(found == *voxels, "{shape:?} {dtype}, keys {}", kind / 6);
});
