//! Whatever an index says, the answer is an error or an index that can be true of its volume: also
//! where its digest, which has no secret in it, was made to fit.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Counted, KEY, NAME, sealed};
use crate::disk::LocalDisk;
use crate::layout::ChunkLayout;
use crate::sample::{BLOCK, BlockIndex, Contents};
use crate::store::Dataset;
use crate::store::tests::write_as;
use crate::{Dtype, Error, Kind, Pool, Result, Scaling};

/// Two blocks, and many chunks.
const SHAPE: [usize; 3] = [5, 6, 40];
const CHUNK: [usize; 3] = [2, 3, 8];

/// A small volume with its index.
struct Store {
    folder: tempfile::TempDir,
}

impl Store {
    fn new(kind: Kind, seed: u8) -> Self {
        let store = Self { folder: tempfile::tempdir().unwrap() };
        let voxels: Vec<u8> =
            (0..1200_u16).map(|n| ((n / 7).to_le_bytes()[0] ^ seed) % 3).collect();
        let layout = ChunkLayout::new(CHUNK, [4, 6, 8], "none".parse().unwrap()).unwrap();
        let disk = LocalDisk::new(store.folder.path());
        write_as(kind, &disk, layout, Dtype::UInt8, SHAPE, &voxels);
        let pool = Pool::new(1).unwrap();
        store.dataset().build_index(&"a/b".parse().unwrap(), &pool, &|_| true).unwrap();
        store
    }

    fn dataset(&self) -> Dataset {
        Dataset::open(self.folder.path()).unwrap()
    }

    fn file(&self) -> PathBuf {
        let volume = self.dataset().volume("a/b").unwrap();
        self.folder.path().join(volume.stored.generation.key(KEY))
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).unwrap()
    }

    fn content(&self) -> Value {
        serde_json::from_str(sealed::open(NAME, &self.bytes()).unwrap()).unwrap()
    }

    /// Puts a content there, with a digest that fits.
    fn put(&self, content: &Value) {
        std::fs::write(self.file(), sealed::seal(NAME, content).unwrap()).unwrap();
    }

    /// All that a reader does with it.
    fn index(&self) -> Result<Arc<BlockIndex>> {
        let volume = self.dataset().volume("a/b")?;
        let _ = volume.info();
        volume.block_index()
    }

    fn is_sound(&self) -> bool {
        self.dataset().verify(&Pool::new(1).unwrap(), &|_| true).unwrap().is_sound()
    }

    /// The answer to one value of the index being another.
    fn edited(kind: Kind, pointer: &str, value: Value) -> Error {
        let store = Self::new(kind, 0);
        store.index().unwrap();
        let mut content = store.content();
        *content.pointer_mut(pointer).unwrap() = value;
        store.put(&content);
        assert!(!store.is_sound(), "{pointer}");
        store.index().unwrap_err()
    }
}

/// What a sampler relies on.
fn assert_possible(index: &BlockIndex) {
    assert_eq!((index.shape, index.block), (SHAPE, BLOCK));
    match &index.contents {
        Contents::Classes(classes) => {
            let counts = classes.iter().flat_map(|class| &class.blocks);
            assert_eq!(counts.map(|count| count.voxels).sum::<u64>(), 1200);
        }
        Contents::Weights(blocks) => {
            assert!(blocks.iter().all(|c| c.block < 2 && c.weight > 0.0 && c.weight.is_finite()));
        }
    }
}

#[test]
fn every_flipped_bit_and_every_length_is_an_error() {
    for kind in [Kind::Label, Kind::Weights] {
        let store = Store::new(kind, 0);
        let intact = store.bytes();
        assert_possible(&store.index().unwrap());
        assert!(store.is_sound());
        for at in 0..intact.len() {
            let mut damaged = intact.clone();
            damaged[at] ^= 1 << (at % 8);
            for bytes in [&damaged[..], &intact[..at]] {
                std::fs::write(store.file(), bytes).unwrap();
                let error = store.index().unwrap_err();
                let told =
                    matches!(&error, Error::CorruptStore { path, .. } if *path == store.file());
                assert!(told && error.to_string().contains("voxpatch index"), "{at}: {error}");
            }
        }
        assert!(!store.is_sound());
        std::fs::write(store.file(), &intact).unwrap();
        assert!(store.is_sound());
    }
}

#[test]
fn an_index_of_other_voxels_is_refused() {
    let (store, other) = (Store::new(Kind::Label, 0), Store::new(Kind::Label, 1));
    std::fs::copy(other.file(), store.file()).unwrap();
    let error = store.index().unwrap_err().to_string();
    assert!(error.contains("other voxels") && error.contains("voxpatch index"), "{error}");
    assert!(!store.is_sound());
    let pool = Pool::new(1).unwrap();
    store.dataset().build_index(&"a/b".parse().unwrap(), &pool, &|_| true).unwrap();
    assert_possible(&store.index().unwrap());
    assert!(store.is_sound());
    // The same voxels mean something else.
    let other = Store::new(Kind::Weights, 0);
    std::fs::copy(other.file(), store.file()).unwrap();
    assert!(matches!(store.index(), Err(Error::CorruptStore { .. })));
}

#[test]
fn an_index_of_a_newer_version_is_told_apart_from_a_damaged_one() {
    for (version, rest) in [(json!(3), true), (json!(u64::MAX), false)] {
        let store = Store::new(Kind::Label, 0);
        let mut content = if rest { store.content() } else { json!({}) };
        content["version"] = version;
        store.put(&content);
        let error = store.index().unwrap_err();
        assert!(matches!(error, Error::VersionTooNew { supported: 2, .. }), "{error}");
    }
}

#[test]
fn what_cannot_be_true_of_the_volume_is_refused() {
    let class = "/frames/0/classes";
    for (kind, pointer, value) in [
        (Kind::Label, "/voxels", json!("")),
        (Kind::Label, "/shape", json!([5, 6, 41])),
        (Kind::Label, "/block", json!([2, 3, 7])),
        (Kind::Label, "/block", json!([0, 0, 0])),
        (Kind::Label, "/frames", json!([])),
        (Kind::Label, "/frames/0", json!({"weights": []})),
        (Kind::Label, class, json!([])),
        (Kind::Label, "/frames/0/classes/0/label", json!(1)),
        (Kind::Label, "/frames/0/classes/0/label", json!(u64::MAX)),
        (Kind::Label, "/frames/0/classes/0/blocks", json!([])),
        (Kind::Label, "/frames/0/classes/0/blocks/0/0", json!(1)),
        (Kind::Label, "/frames/0/classes/0/blocks/0/0", json!(u64::MAX)),
        (Kind::Label, "/frames/0/classes/0/blocks/0/1", json!(0)),
        (Kind::Label, "/frames/0/classes/0/blocks/0/1", json!(u64::MAX)),
        (Kind::Label, "/frames/0/classes/0/blocks/0/1", json!(1)),
        (Kind::Weights, "/scaling", json!({"slope": 2.0, "intercept": 0.0})),
        (Kind::Weights, "/frames/0", json!({"classes": []})),
        (Kind::Weights, "/frames/0/weights/0/0", json!(12)),
        (Kind::Weights, "/frames/0/weights/0/0", json!(1)),
        (Kind::Weights, "/frames/0/weights/0/1", json!(0.0)),
        (Kind::Weights, "/frames/0/weights/0/1", json!(-1.0)),
        (Kind::Weights, "/frames/0/weights", json!([[0, f64::MAX], [1, f64::MAX]])),
    ] {
        let error = Store::edited(kind, pointer, value.clone());
        assert!(matches!(error, Error::CorruptStore { .. }), "{pointer} {value}: {error}");
    }
}

#[test]
fn counts_that_might_be_true_and_are_not_are_found_by_verify() {
    let store = Store::new(Kind::Label, 0);
    let mut content = store.content();
    // One voxel of the first block changes its label.
    for (class, by) in [(0, -1), (1, 1)] {
        let count = &mut content["frames"][0]["classes"][class]["blocks"][0][1];
        *count = json!(count.as_i64().unwrap() + by);
    }
    store.put(&content);
    assert_possible(&store.index().unwrap());
    assert!(!store.is_sound());
    let store = Store::new(Kind::Weights, 0);
    let mut content = store.content();
    content["frames"][0]["weights"].as_array_mut().unwrap().pop();
    store.put(&content);
    store.index().unwrap();
    assert!(!store.is_sound());
}

#[test]
fn labels_of_a_scaling_are_not_drawn_by_their_raw_numbers() {
    let scaling = Some(Scaling { slope: 2.0, intercept: 0.0 });
    let refused = Counted::of(Kind::Label, Dtype::Int16, scaling).unwrap_err();
    assert!(refused.contains("convert it again"), "{refused}");
    assert!(Counted::of(Kind::Label, Dtype::Int16, None).is_ok());
    assert!(Counted::of(Kind::Weights, Dtype::Int16, scaling).is_ok());
}

fn nonsense() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(0),
        json!(1),
        json!(-1),
        json!(11),
        json!(12),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.5),
        json!(1e300),
        json!(""),
        json!([]),
        json!([0, 1]),
        json!([1, 1, 1]),
        json!([u64::MAX, u64::MAX, u64::MAX]),
        json!({}),
        json!(null),
        json!(true),
    ])
}

/// Every place inside a document.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, v)| places(v, &format!("{at}/{n}"), found));
        }
        Value::Object(items) => {
            items.iter().for_each(|(k, v)| places(v, &format!("{at}/{k}"), found));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_value_of_an_index_may_be_anything(
        kind in prop::sample::select(vec![Kind::Label, Kind::Weights]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), nonsense()), 1..4),
    ) {
        let store = Store::new(kind, 0);
        let mut content = store.content();
        for (index, value) in changes {
            let mut found = Vec::new();
            places(&content, "", &mut found);
            let place = &found[index.index(found.len())];
            *content.pointer_mut(place).unwrap() = value;
        }
        store.put(&content);
        if let Ok(index) = store.index() {
            assert_possible(&index);
        }
        let _ = store.is_sound();
    }
}
