//! Pointers to what is not there, is another's, or leads elsewhere.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{DOCUMENT, Dataset, digest, manifest};
use crate::disk::LocalDisk;
use crate::layout::ChunkLayout;
use crate::{Dtype, Error, Pool, Region};

const SHAPE: [usize; 3] = [4, 6, 8];

struct Store(tempfile::TempDir);

impl Store {
    fn new() -> Self {
        let store = Self(tempfile::tempdir().unwrap());
        store.write(7);
        store
    }

    /// Adds the volume `a/b` all of whose voxels are this number.
    fn write(&self, number: i16) {
        let voxels = vec![number; SHAPE.iter().product()];
        let layout = ChunkLayout::new([2, 3, 8], [4, 6, 8], "none".parse().unwrap()).unwrap();
        let disk = LocalDisk::new(self.root());
        super::tests::write(&disk, layout, Dtype::Int16, SHAPE, bytemuck::cast_slice(&voxels));
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn pointer(&self) -> PathBuf {
        self.root().join("a/b").join(DOCUMENT)
    }

    fn generation(&self) -> PathBuf {
        let id = self.document()["attributes"]["voxpatch"]["generation"].clone();
        self.root().join("a/b").join(id.as_str().unwrap())
    }

    fn document(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.pointer()).unwrap()).unwrap()
    }

    /// The pointer with one value of its attribute changed.
    fn edit(&self, at: &str, value: Value) {
        let mut document = self.document();
        *document.pointer_mut(&format!("/attributes/voxpatch/{at}")).unwrap() = value;
        std::fs::write(self.pointer(), document.to_string()).unwrap();
    }

    fn refused(&self) -> Error {
        let dataset = Dataset::open(self.root()).unwrap();
        let error = dataset.volume("a/b").unwrap_err();
        let report = dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap();
        assert!(!report.is_sound(), "{error}");
        error
    }
}

#[test]
fn names_of_generations_that_lead_elsewhere_are_damage_and_nothing_is_read_there() {
    let other = Store::new();
    let id = other.generation();
    let id = id.file_name().unwrap().to_str().unwrap();
    let store = Store::new();
    let far = format!("../../../{}/a/b/{id}", other.root().file_name().unwrap().to_str().unwrap());
    assert!(store.root().join("a/b").join(&far).exists());
    for name in [&*far, ".", "..", "", "/", "0", "../b", "g-", "g-0123456789abcde/"] {
        store.edit("generation", json!(name));
        let error = store.refused();
        assert!(matches!(error, Error::CorruptStore { .. }), "{name:?}: {error}");
        assert!(error.to_string().contains("not a name of a generation"), "{name:?}: {error}");
    }
}

#[test]
fn a_generation_that_is_missing_or_a_loop_is_damage() {
    let store = Store::new();
    let generation = store.generation();
    let aside = store.root().join("aside");
    std::fs::rename(&generation, &aside).unwrap();
    let error = store.refused().to_string();
    assert!(error.contains("the document is missing"), "{error}");
    std::os::unix::fs::symlink(&generation, &generation).unwrap();
    assert!(matches!(store.refused(), Error::Io { .. }));
}

#[test]
fn the_manifest_of_another_generation_is_damage_also_where_digests_fit() {
    let store = Store::new();
    let (old, kept) = (store.generation(), store.root().join("kept"));
    std::fs::rename(&old, &kept).unwrap();
    std::fs::remove_file(store.pointer()).unwrap();
    store.write(8);
    let bytes = std::fs::read(kept.join(manifest::KEY)).unwrap();
    std::fs::write(store.generation().join(manifest::KEY), &bytes).unwrap();
    assert!(store.refused().to_string().contains("not the one that the volume's document names"));
    store.edit("manifest", json!({"bytes": bytes.len(), "blake3": digest::of_bytes(&bytes)}));
    let error = store.refused().to_string();
    // Its OME metadata names the old generation.
    assert!(error.contains("OME metadata"), "{error}");
    let mut document = store.document();
    let id = old.file_name().unwrap().to_str().unwrap();
    document["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] =
        json!(format!("{id}/0"));
    std::fs::write(store.pointer(), document.to_string()).unwrap();
    let error = store.refused().to_string();
    assert!(error.contains("another generation"), "{error}");
}

#[test]
fn whatever_an_attribute_of_a_pointer_is_the_answer_is_an_error_and_the_volume_can_be_replaced() {
    for at in ["version", "generation", "manifest", "manifest/bytes", "manifest/blake3"] {
        for value in [json!(null), json!(0), json!(1), json!(2), json!(-1), json!(""), json!([{}])]
        {
            let store = Store::new();
            store.edit(at, value.clone());
            let _ = store.refused();
            let dataset = Dataset::open(store.root()).unwrap();
            let name = "a/b".parse().unwrap();
            assert!(matches!(dataset.check_free(&name, false), Err(Error::AlreadyExists { .. })));
            dataset.remove(&name).unwrap_or_else(|e| panic!("{at} {value}: {e}"));
            store.write(9);
            let volume = dataset.open_volume(&name).unwrap();
            let found = volume.read::<i16>(Region::whole(SHAPE)).unwrap();
            assert!(found.iter().all(|voxel| *voxel == 9));
        }
    }
}
