//! The folders of a volume's files.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of the generation that a volume's document names: the folder that has `0` in it.
pub fn generation(root: &Path, name: &str) -> PathBuf {
    let volume = root.join(name);
    let document = std::fs::read(volume.join("zarr.json")).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    volume.join(document["attributes"]["voxpatch"]["generation"].as_str().unwrap())
}

/// The content of each file below a folder, by its path, without the parts that differ each time a
/// volume is written: the name of its generation, and digests of documents that hold the name.
pub fn files_as_written(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let inside = path.strip_prefix(folder).unwrap().to_str().unwrap();
        let plain = |part| if is_id(part) { "g" } else { part };
        let parts: Vec<_> = inside.split('/').map(plain).collect();
        let mut content = std::fs::read(&path).unwrap();
        if let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(&content) {
            document.as_object_mut().unwrap().remove("blake3");
            for pointer in [
                "/manifest/generation",
                "/manifest/ome",
                "/attributes/ome",
                "/attributes/voxpatch/generation",
                "/attributes/voxpatch/manifest",
            ] {
                document.pointer_mut(pointer).map(serde_json::Value::take);
            }
            content = document.to_string().into_bytes();
        }
        found.insert(parts.join("/"), content);
    }
    found
}

fn is_id(name: &str) -> bool {
    name.len() == 18 && name.starts_with("g-")
}

/// All generations in the folder of a volume, named or not, sorted.
pub fn generations(root: &Path, name: &str) -> Vec<PathBuf> {
    generations_in(&root.join(name))
}

/// Folders of generations, and those of jobs, which have names of the same form, in a folder.
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
