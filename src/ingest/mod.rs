//! Scan + layout + store: converting.

mod convert;
mod narrow;

pub use convert::{ConvertOptions, ConvertReport, convert};
