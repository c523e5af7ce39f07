//! Where the files of a volume lie.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};

/// The folder of the generation that a volume's document names: the folder that has `0` in it.
pub fn generation(root: &Path, name: &str) -> PathBuf {
    let volume = root.join(name);
    let document = std::fs::read(volume.join("zarr.json")).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    volume.join(document["attributes"]["voxpatch"]["generation"].as_str().unwrap())
}

/// All generations in the folder of a volume, named or not, sorted.
pub fn generations(root: &Path, name: &str) -> Vec<PathBuf> {
    generations_in(&root.join(name))
}

/// Folders of generations, and those of jobs, which are named as these, in a folder.
pub fn generations_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("g-");
    let mut found: Vec<_> = paths.filter(is_one).collect();
    found.sort();
    found
}

/// The name of the generation that a volume's document names.
pub fn generation_name(root: &Path, name: &str) -> String {
    generation(root, name).file_name().unwrap().to_str().unwrap().to_owned()
}
