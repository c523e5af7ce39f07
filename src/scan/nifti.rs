//! NIfTI-1 and NIfTI-2.

use std::path::Path;

use super::Scan;
use crate::Result;

pub(super) fn open(_path: &Path) -> Result<Box<dyn Scan>> {
    todo!()
}
