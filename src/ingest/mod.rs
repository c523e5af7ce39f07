//! Conversion of scans into stored volumes.

mod convert;
mod done;
mod fourth_axis;
mod labels;
mod narrow;
mod pass;
mod real;
mod sample;
mod trial;

pub use convert::{ConvertOptions, ConvertReport, convert};
pub use done::is_converted;
pub use trial::CodecTrial;
