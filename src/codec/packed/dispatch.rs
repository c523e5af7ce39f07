//! The choice of a kernel at run time. Unsafe: calls of functions that need a processor feature,
//! after asking for it.
#![allow(unsafe_code)]

use super::encode::{ToEncode, encode_segments};
use super::isa::Isa;
#[cfg(target_arch = "x86_64")]
use super::kernel::avx2::Avx2;
use super::kernel::portable::Portable;
use super::lane::Lane;
use super::segment::{Fault, Out, Segment, decode_segment};
use super::view::STRIP;

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

code!(i16, Avx2);
code!(i32, Portable::<i32>::default());
