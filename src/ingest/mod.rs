//! Scan + layout + store: converting.

mod convert;

pub use convert::{ConvertOptions, ConvertReport, convert};
