//! The store that an example is run on: the one that is named, or one that is made for the time.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use voxpatch::layout::{Access, Workload};
use voxpatch::phantom::ChestPhantom;
use voxpatch::{ConvertOptions, Dataset, Pool, Result, Spacing, convert, scan};

/// Opens the store, or makes one of two subjects with the images `image` and `organs`. It goes with
/// the folder that is returned.
pub(crate) fn open(store: Option<&Path>) -> Result<(Dataset, Option<TempDir>)> {
    if let Some(store) = store {
        return Ok((Dataset::open(store)?, None));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (dataset, pool) = (Dataset::create(folder.path().join("scans.zarr"))?, Pool::new(0)?);
    let workload = Some(Workload::new(vec!["16x32x32".parse()?], Access::Random)?);
    let options = ConvertOptions::default().workload(workload);
    for (subject, depth) in [("case01", 40), ("case02", 56)] {
        let phantom = ChestPhantom::new([depth, 96, 112], Spacing::new([3.0, 3.5, 3.5])?)?;
        for (image, labels) in [("image", false), ("organs", true)] {
            let file: PathBuf = folder.path().join(format!("{subject}-{image}.nii"));
            phantom.write(&file, labels, &pool, &|_bytes| true)?;
            let name = format!("{subject}/{image}").parse()?;
            convert(scan::open(&file)?, &dataset, &name, &options, &pool, &|_bytes| true)?;
        }
    }
    Ok((dataset, Some(folder)))
}
