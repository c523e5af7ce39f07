//! The kernel for lanes of 16 bits in AVX2. Unsafe: the instructions, which need a processor that has
//! them, and loads and stores through references to arrays of exactly their size.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm_and_si128, _mm_cvtsi64_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_srli_epi16,
    _mm_unpacklo_epi8, _mm256_add_epi16, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_cvtepu8_epi16, _mm256_load_si256, _mm256_loadu_si256, _mm256_mulhi_epi16,
    _mm256_mullo_epi16, _mm256_or_si256, _mm256_set1_epi16, _mm256_shuffle_epi8, _mm256_slli_epi16,
    _mm256_srai_epi16, _mm256_storeu_si256, _mm256_sub_epi16,
};

use super::{Kernel, Near, Widths};
use crate::codec::packed::view::STRIP;

/// What takes two groups of given widths apart.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Unpack {
    /// For each lane the two bytes that its bits are in.
    bytes: [u8; 32],
    /// A factor that moves its bits to the top.
    up: [i16; 16],
    /// A factor whose high product moves them down again, with their sign.
    down: [i16; 16],
}

/// By [`Widths::pair`], of which there are 81; the rest saves a check.
static UNPACK: [Unpack; 128] = {
    let empty = Unpack { bytes: [0x80; 32], up: [0; 16], down: [0; 16] };
    let mut table = [empty; 128];
    let mut first = 0;
    while first < 9 {
        let mut second = 0;
        while second < 9 {
            table[9 * first + second] = unpack_of(first, second);
            second += 1;
        }
        first += 1;
    }
    table
};

#[allow(clippy::cast_possible_truncation)]
const fn unpack_of(first: usize, second: usize) -> Unpack {
    let mut unpack = Unpack { bytes: [0x80; 32], up: [0; 16], down: [0; 16] };
    let mut lane = 0;
    while lane < 16 {
        let (start, width) = if lane < 8 { (0, first) } else { (first, second) };
        if width > 0 {
            let bit = lane % 8 * width;
            let byte = start + bit / 8;
            unpack.bytes[2 * lane] = byte as u8;
            // The last byte of all has none behind it; its bits end with it.
            unpack.bytes[2 * lane + 1] = if byte + 1 < 16 { byte as u8 + 1 } else { 0x80 };
            unpack.up[lane] = (1_i32 << (16 - width - bit % 8)) as i16;
            unpack.down[lane] = 1 << width;
        }
        lane += 1;
    }
    unpack
}

/// To be made in functions that are compiled for AVX2, and run where there is AVX2.
#[derive(Clone, Copy)]
pub(in crate::codec::packed) struct Avx2;

/// The bits of each lane moved to its top, other bits below them, and the factor that moves
/// them down.
#[inline(always)]
fn top_bits(bytes: &[u8; 16], widths: Widths) -> (__m256i, __m256i) {
    let unpack = &UNPACK[usize::from(widths.pair & 127)];
    // SAFETY: as below; 16 bytes, and three times 32 of the table, aligned to 32.
    unsafe {
        let both = _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast()));
        let bits = _mm256_load_si256(unpack.bytes.as_ptr().cast());
        let up = _mm256_load_si256(unpack.up.as_ptr().cast());
        let down = _mm256_load_si256(unpack.down.as_ptr().cast());
        (_mm256_mullo_epi16(_mm256_shuffle_epi8(both, bits), up), down)
    }
}

/// A nibble to each lane.
#[inline(always)]
fn spread(nibbles: &[u8; 8]) -> __m256i {
    // SAFETY: as below.
    unsafe {
        let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(*nibbles));
        let mask = _mm_set1_epi8(15);
        let low = _mm_and_si128(bytes, mask);
        let high = _mm_and_si128(_mm_srli_epi16::<4>(bytes), mask);
        _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(low, high))
    }
}

// SAFETY of every block below: the methods are inlined into the two functions that make an
// `Avx2`, which run where the processor has it. Each pointer comes from a reference to exactly
// the bytes that are loaded or stored; only the table's are aligned, and its type sees to it.
impl Kernel for Avx2 {
    type Lane = i16;
    type Row = __m256i;

    #[inline(always)]
    fn splat(self, lane: i16) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_set1_epi16(lane) }
    }

    #[inline(always)]
    fn load(self, lanes: &[i16; STRIP]) -> __m256i {
        // SAFETY: see above; 32 bytes.
        unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, row: __m256i, lanes: &mut [i16; STRIP]) {
        // SAFETY: see above; 32 bytes.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), row) }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_add_epi16(a, b) }
    }

    #[inline(always)]
    fn unpack(self, bytes: &[u8; 16], widths: Widths) -> __m256i {
        let (top, down) = top_bits(bytes, widths);
        // SAFETY: see above.
        unsafe { _mm256_mulhi_epi16(top, down) }
    }

    // Not shifted up after the product, which the compiler would merge with it into slow
    // 32-bit arithmetic.
    #[inline(always)]
    fn unpack_above(self, bytes: &[u8; 16], widths: Widths, nibbles: &[u8; 8]) -> __m256i {
        let (top, down) = top_bits(bytes, widths);
        let low = spread(nibbles);
        // SAFETY: see above.
        unsafe {
            let bits = _mm256_mulhi_epi16(top, _mm256_slli_epi16::<4>(down));
            _mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi16(-16)), low)
        }
    }

    #[inline(always)]
    fn append(self, row: __m256i, nibbles: &[u8; 8]) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_or_si256(_mm256_slli_epi16::<4>(row), spread(nibbles)) }
    }

    #[inline(always)]
    fn predict(self, Near { y, z, yz }: Near<__m256i>, (a, b): (i16, i16)) -> __m256i {
        // SAFETY: see above.
        unsafe {
            let from_z = _mm256_mullo_epi16(_mm256_sub_epi16(y, z), _mm256_set1_epi16(a));
            let from_yz = _mm256_mullo_epi16(_mm256_sub_epi16(y, yz), _mm256_set1_epi16(b));
            let sum = _mm256_add_epi16(from_z, from_yz);
            _mm256_add_epi16(z, _mm256_srai_epi16::<2>(sum))
        }
    }
}
