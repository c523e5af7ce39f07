//! Scan + layout + store: converting.

mod convert;
mod narrow;
mod sample;
mod trial;

pub use convert::{ConvertOptions, ConvertReport, convert};
pub use trial::CodecTrial;
