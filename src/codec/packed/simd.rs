//! The kernel for 16-bit lanes in AVX2, and the choice of a kernel at run time. The only file of
//! the codec with unsafe code: calls of functions that need a processor feature, after asking for
//! it, and loads and stores through references to arrays of exactly their size.
#![allow(unsafe_code)]

use super::encode::{ToEncode, encode_segments};
use super::kernel::{Fault, Lane, Out, Portable, Segment, decode_segment};
use super::view::STRIP;

/// What the code may use of the processor, slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Isa {
    /// Whatever the crate was compiled for.
    Portable,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The same code, compiled for AVX-512: twice the registers, operations of three operands.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// All that this processor has.
    pub(crate) fn available() -> Vec<Self> {
        let all = [
            Self::Portable,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512,
        ];
        all.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The fastest that this processor has.
    #[inline]
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        for isa in [Self::Avx512, Self::Avx2] {
            if isa.is_available() {
                return isa;
            }
        }
        Self::Portable
    }

    /// True if this processor has it; a few loads, as the answer is kept.
    #[inline]
    fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("lzcnt")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }
}

/// Encodes and decodes lanes of one size with the instructions of an [`Isa`]. The results do not
/// depend on it.
pub(super) trait Code: Lane {
    /// See [`encode_segments`].
    fn encode(isa: Isa, chunk: ToEncode<'_, Self>, out: &mut Vec<u8>);

    /// See [`decode_segment`].
    fn decode(
        isa: Isa,
        segment: Segment<'_>,
        rows: &mut [[Self; STRIP]],
        out: Option<Out<'_>>,
    ) -> Result<(), Fault>;
}

/// For one size of lane, the same function compiled for each [`Isa`].
macro_rules! code {
    ($lane:ty, $vector_kernel:expr) => {
        impl Code for $lane {
            fn encode(isa: Isa, chunk: ToEncode<'_, Self>, out: &mut Vec<u8>) {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
                fn avx2(chunk: ToEncode<'_, $lane>, out: &mut Vec<u8>) {
                    encode_segments(chunk, out)
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512vl")]
                fn avx512(chunk: ToEncode<'_, $lane>, out: &mut Vec<u8>) {
                    encode_segments(chunk, out)
                }
                assert!(isa.is_available(), "asked for instructions that this processor lacks");
                match isa {
                    Isa::Portable => encode_segments(chunk, out),
                    // SAFETY: the processor has AVX2, as was just asked.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => unsafe { avx2(chunk, out) },
                    // SAFETY: the processor has these parts of AVX-512, as was just asked.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => unsafe { avx512(chunk, out) },
                }
            }

            #[inline]
            fn decode(
                isa: Isa,
                segment: Segment<'_>,
                rows: &mut [[Self; STRIP]],
                out: Option<Out<'_>>,
            ) -> Result<(), Fault> {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2")]
                fn avx2(
                    segment: Segment<'_>,
                    rows: &mut [[$lane; STRIP]],
                    out: Option<Out<'_>>,
                ) -> Result<(), Fault> {
                    decode_segment($vector_kernel, segment, rows, out)
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl")]
                fn avx512(
                    segment: Segment<'_>,
                    rows: &mut [[$lane; STRIP]],
                    out: Option<Out<'_>>,
                ) -> Result<(), Fault> {
                    decode_segment($vector_kernel, segment, rows, out)
                }
                assert!(isa.is_available(), "asked for instructions that this processor lacks");
                match isa {
                    Isa::Portable => {
                        decode_segment(Portable::<Self>::default(), segment, rows, out)
                    }
                    // SAFETY: the processor has AVX2, as was just asked.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => unsafe { avx2(segment, rows, out) },
                    // SAFETY: the processor has these parts of AVX-512, as was just asked.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => unsafe { avx512(segment, rows, out) },
                }
            }
        }
    };
}

code!(i16, avx2::Avx2);
code!(i32, Portable::<i32>::default());

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm_and_si128, _mm_cvtsi64_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_srli_epi16,
        _mm_unpacklo_epi8, _mm256_add_epi16, _mm256_and_si256, _mm256_broadcastsi128_si256,
        _mm256_cvtepu8_epi16, _mm256_load_si256, _mm256_loadu_si256, _mm256_mulhi_epi16,
        _mm256_mullo_epi16, _mm256_or_si256, _mm256_set1_epi16, _mm256_shuffle_epi8,
        _mm256_slli_epi16, _mm256_srai_epi16, _mm256_storeu_si256, _mm256_sub_epi16,
    };

    use super::STRIP;
    use crate::codec::packed::kernel::{Kernel, Near, Widths};

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
    pub(super) struct Avx2;

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
}
