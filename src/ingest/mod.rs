//! Scan + layout + store: converting.

mod convert;
mod fourth_axis;
mod labels;
mod narrow;
mod pass;
mod sample;
mod trial;

pub use convert::{ConvertOptions, ConvertReport, convert};
pub use trial::CodecTrial;
