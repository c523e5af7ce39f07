//! What `demo` and `bench` share: a folder to work in, an uncompressed copy to compare with, and
//! the patches to read.

mod compare;
mod copy;
mod regions;
mod scratch;

pub use compare::agree;
pub use copy::{plain_header, write_copy};
pub use regions::{grid, random};
pub use scratch::{Scratch, free_space};
