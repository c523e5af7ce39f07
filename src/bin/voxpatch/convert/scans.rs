//! Which scans `convert` was given, and the name of the volume of each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use voxpatch::VolumeName;
use voxpatch::scan::{self, Found};

use crate::args::Convert;
use crate::output;

/// The scans to convert, each to its own volume.
pub fn scans(args: &Convert) -> voxpatch::Result<Vec<Found>> {
    let found = scan::find(&args.scans)?;
    if args.channels { Found::channels(found).map(|joined| vec![joined]) } else { Ok(found) }
}

/// The path that names a scan: its first file; for channels, without nnU-Net's channel number.
fn path(scan: &Found, args: &Convert) -> PathBuf {
    let first = scan.files()[0];
    let file = first.file_name().unwrap_or_default().to_string_lossy();
    match file.split_once("_0000.").filter(|_| args.channels) {
        Some((case, ending)) => first.with_file_name(format!("{case}.{ending}")),
        None => first.into(),
    }
}

/// A name for each scan, all different.
pub fn names(scans: &[Found], args: &Convert) -> anyhow::Result<Vec<VolumeName>> {
    if let Some(name) = &args.name {
        anyhow::ensure!(
            scans.len() == 1,
            "--name names one volume, but {} scans are given",
            scans.len()
        );
        return Ok(vec![name.clone()]);
    }
    let mut taken: BTreeMap<VolumeName, PathBuf> = BTreeMap::new();
    let mut names = Vec::new();
    for scan in scans {
        let path = path(scan, args);
        let name = VolumeName::for_file(&path);
        if let Some(other) = taken.insert(name.clone(), path.clone()) {
            anyhow::bail!(
                "{} and {} would both be stored as {name}; nothing was converted (convert them \
                 one by one, with --name)",
                other.display(),
                path.display()
            );
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if !file.starts_with(name.subject()) {
            output::note(&format!("{file} is stored as {name} (--name chooses another name)"));
        }
        names.push(name);
    }
    Ok(names)
}
