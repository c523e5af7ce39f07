//! The Python extension `voxpatch._voxpatch`: the library in numpy's words. What users import is
//! curated in `python/voxpatch/__init__.py`.
//!
//! `volume` and `reading` are the main path: arguments become a view and a region, [`memory`] the
//! array that chunks are decoded into.

#![allow(clippy::needless_pass_by_value, reason = "Python's arguments come by value")]
#![allow(clippy::struct_field_names, reason = "a handle of a volume holds a volume")]
#![allow(clippy::cast_possible_wrap, reason = "lengths of arrays are within isize")]
#![allow(clippy::match_bool, reason = "two ways of the same weight")]

mod aggregate;
mod arguments;
mod bench;
mod command;
mod convert;
mod dataset;
mod describe;
mod error;
mod export;
mod index;
mod layout;
mod memory;
mod normalise;
mod packed;
mod pools;
mod reading;
mod sample;
mod sampler_of_caller;
mod stream;
mod volume;
mod work;

use pyo3::prelude::*;

#[pymodule]
mod _voxpatch {
    #[pymodule_export]
    use super::{
        aggregate::{_finalise, Aggregator},
        bench::_bench,
        command::run_command,
        convert::{_convert_array, _convert_files},
        dataset::Dataset,
        export::_export,
        layout::_plan,
        normalise::Normalise,
        packed::{_packed_decode, _packed_encode},
        sample::{_grid, Places, Sample, Sampler},
        stream::PatchStream,
        volume::{_open_volume, Volume},
    };

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
