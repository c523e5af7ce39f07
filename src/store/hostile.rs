//! Whatever a store says, the answer is an error or voxels: also where its digests, which have no
//! secret in them, were made to fit.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::digest;
use super::manifest::Manifest;
use super::strips::Strips;
use super::{DOCUMENT, Dataset};
use crate::disk::LocalDisk;
use crate::layout::ChunkLayout;
use crate::{Dtype, Error, Pool, Region, Result};

const SHAPE: [usize; 3] = [5, 6, 11];

/// A small store, and its three documents.
struct Store {
    folder: tempfile::TempDir,
}

impl Store {
    fn new(codec: &str) -> Self {
        let store = Self { folder: tempfile::tempdir().unwrap() };
        let voxels: Vec<u8> =
            (0..SHAPE.iter().product::<usize>() * 2).map(|n| (n % 251).to_le_bytes()[0]).collect();
        let layout = ChunkLayout::new([2, 3, 8], [4, 6, 8], codec.parse().unwrap()).unwrap();
        super::tests::write(&LocalDisk::new(store.root()), layout, Dtype::Int16, SHAPE, &voxels);
        store
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("s.zarr")
    }

    /// A file of the generation.
    fn file(&self, key: &str) -> PathBuf {
        self.generation().join(key)
    }

    fn generation(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.root().join("a/b")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| path.is_dir()).unwrap()
    }

    /// The volume's own document.
    fn pointer(&self) -> PathBuf {
        self.root().join("a/b").join(DOCUMENT)
    }

    fn json(&self, key: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.file(key)).unwrap()).unwrap()
    }

    /// Writes a document and makes every digest fit again.
    fn write(&self, key: &str, document: &Value) {
        if key == super::manifest::KEY {
            let manifest = document["manifest"].to_string();
            let blake3 = digest::of_bytes(manifest.as_bytes());
            let sealed = format!("{{\"blake3\":\"{blake3}\",\"manifest\":{manifest}}}");
            std::fs::write(self.file(key), &sealed).unwrap();
            let mut pointer: Value =
                serde_json::from_slice(&std::fs::read(self.pointer()).unwrap()).unwrap();
            pointer["attributes"]["voxpatch"]["manifest"] =
                json!({"bytes": sealed.len(), "blake3": digest::of_bytes(sealed.as_bytes())});
            std::fs::write(self.pointer(), pointer.to_string()).unwrap();
            return;
        }
        std::fs::write(self.file(key), document.to_string()).unwrap();
        self.reseal();
    }

    fn reseal(&self) {
        let mut manifest = self.json(super::manifest::KEY);
        let of = |key: &str| json!(digest::of_bytes(&std::fs::read(self.file(key)).unwrap()));
        manifest["manifest"]["group"] = of(DOCUMENT);
        manifest["manifest"]["array"] = of(&format!("0/{DOCUMENT}"));
        for record in manifest["manifest"]["shards"].as_array_mut().unwrap() {
            let key = format!("0/{}", record["key"].as_str().unwrap());
            if record["file"].is_object() {
                let bytes = std::fs::read(self.file(&key)).unwrap();
                record["file"] = json!({"bytes": bytes.len(), "blake3": digest::of_bytes(&bytes)});
            }
        }
        self.write(super::manifest::KEY, &manifest);
    }

    /// Claims that the voxels, which are int16, were narrowed from another type.
    fn claim(&self, original: Value) {
        let mut group = self.json(DOCUMENT);
        group["attributes"]["voxpatch"]["original_dtype"] = original;
        self.write(DOCUMENT, &group);
    }

    /// All that a reader can do with it.
    fn use_it(&self) -> Result<()> {
        let dataset = Dataset::open(self.root())?;
        let volume = dataset.volume("a/b")?;
        let _ = (volume.info(), volume.stored_bytes(), volume.raw_bytes());
        let whole = Region::whole(volume.shape());
        // What a hostile shape asks for is the caller's to refuse; here it is kept small.
        let shape = volume.shape().map(|n| n.min(12));
        let first = Region::new([0; 3], shape);
        volume.cost(first)?;
        let view = volume.view().padded(crate::Padding::Reflect).scaled();
        view.read::<f32>(Region::new([-3, -2, -1], [4, 5, 6]))?;
        if whole.voxels().is_some_and(|n| n < 1 << 20) {
            dataset.verify(&Pool::new(1)?, &|_| true)?;
        }
        crate::with_element!(volume.dtype(), T => {
            let found = volume.read::<T>(first)?;
            assert_eq!(found.shape(), shape);
        });
        Ok(())
    }
}

fn hostile() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(0),
        json!(1),
        json!(-1),
        json!(2_u64.pow(31)),
        json!(2_u64.pow(32) + 1),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!(".."),
        json!("../../../secret"),
        json!("/etc/passwd"),
        json!("zstd"),
        json!("gzip"),
        json!("blosclz"),
        json!("bitshuffle"),
        json!("transpose"),
        json!("uint8"),
        json!("float64"),
        json!([]),
        json!([1, 1, 1]),
        json!([u64::MAX, u64::MAX, u64::MAX]),
        json!([1 << 20, 1 << 20, 1 << 20]),
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
        Value::Object(items) => items.iter().for_each(|(k, v)| {
            places(v, &format!("{at}/{}", k.replace('~', "~0").replace('/', "~1")), found);
        }),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_value_of_any_document_may_be_anything(
        codec in prop::sample::select(vec!["blosc", "zstd:1", "gzip:1", "packed:2", "none"]),
        key in prop::sample::select(vec!["zarr.json", "0/zarr.json", "0/manifest.json"]),
        narrowed in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), hostile()), 1..3),
    ) {
        let store = Store::new(codec);
        if narrowed {
            store.claim(json!("float32"));
        }
        let mut document = store.json(key);
        for (index, value) in changes {
            let mut found = Vec::new();
            places(&document, "", &mut found);
            // Not the root: an empty document is another test's.
            let place = &found[1.min(found.len() - 1)..];
            if let Some(place) = place.get(index.index(place.len().max(1)))
                && let Some(slot) = document.pointer_mut(place)
            {
                *slot = value;
            }
        }
        store.write(key, &document);
        let _ = store.use_it();
    }

    #[test]
    fn any_byte_of_any_shard_may_be_anything(
        codec in prop::sample::select(vec![
            "blosc", "blosc-zstd:1", "zstd:1", "gzip:1", "packed:2", "packed:0", "none",
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        index_only in any::<bool>(),
    ) {
        let store = Store::new(codec);
        let path = store.file("0/c/0/0/0");
        let mut shard = std::fs::read(&path).unwrap();
        let chunks = 4;
        let index = shard.len() - 4 - 16 * chunks;
        for (place, byte) in changes {
            let range = if index_only { index..index + 16 * chunks } else { 0..index };
            let at = range.start + place.index(range.len());
            shard[at] = byte;
        }
        seal_shard(&mut shard, chunks);
        std::fs::write(&path, shard).unwrap();
        store.reseal();
        let _ = store.use_it();
    }
}

/// Makes the checksums of the chunks and of the index fit.
fn seal_shard(shard: &mut [u8], chunks: usize) {
    let index = shard.len() - 4 - 16 * chunks;
    for n in 0..chunks {
        let word = |at: usize| {
            let bytes = &shard[index + 16 * n + at..][..8];
            usize::try_from(u64::from_le_bytes(bytes.try_into().unwrap())).unwrap_or(usize::MAX)
        };
        let (offset, length) = (word(0), word(8));
        if offset.checked_add(length).is_some_and(|end| end <= index) && length >= 4 {
            let crc = crc32c::crc32c(&shard[offset..offset + length - 4]);
            shard[offset + length - 4..offset + length].copy_from_slice(&crc.to_le_bytes());
        }
    }
    let crc = crc32c::crc32c(&shard[index..index + 16 * chunks]);
    let end = shard.len();
    shard[end - 4..].copy_from_slice(&crc.to_le_bytes());
}

fn refused(change: impl Fn(&Store)) -> Error {
    let store = Store::new("gzip:1");
    store.use_it().unwrap();
    change(&store);
    store.use_it().unwrap_err()
}

fn edit(store: &Store, key: &str, pointer: &str, value: Value) {
    let mut document = store.json(key);
    *document.pointer_mut(pointer).unwrap() = value;
    store.write(key, &document);
}

#[test]
fn a_shard_outside_of_the_store_is_not_read() {
    let error = refused(|store| {
        let manifest: Manifest =
            serde_json::from_value(store.json(super::manifest::KEY)["manifest"].clone()).unwrap();
        assert_eq!(manifest.shards[0].key, "c/0/0/0");
        edit(store, super::manifest::KEY, "/manifest/shards/0/key", json!("../../../../secret"));
    });
    assert!(matches!(error, Error::NotVoxpatch { .. }), "{error}");
}

#[test]
fn chunks_without_a_checksum_or_a_bound_are_not_read() {
    let codecs = "/codecs/0/configuration/codecs";
    let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let gzip = json!({"name": "gzip", "configuration": {"level": 1}});
    let crc = json!({"name": "crc32c"});
    let packed = json!({"name": "voxpatch.packed", "configuration": {"key_every": 2}});
    for chain in [
        json!([bytes, gzip]),
        json!([bytes, gzip, gzip, crc]),
        json!([bytes]),
        json!([]),
        json!([gzip, crc]),
        json!([packed]),
        json!([packed, gzip]),
        json!([packed, gzip, crc]),
        json!([bytes, packed, crc]),
        json!([{"name": "voxpatch.packed"}, crc]),
        json!([{"name": "voxpatch.packed", "configuration": {"key_every": 256}}, crc]),
        json!([{"name": "transpose", "configuration": {"order": [2, 1, 0]}}, bytes, crc]),
    ] {
        let error = refused(|store| edit(store, "0/zarr.json", codecs, chain.clone()));
        assert!(matches!(error, Error::NotVoxpatch { .. }), "{chain}: {error}");
    }
}

#[test]
fn a_chunk_out_of_proportion_is_not_made_room_for() {
    let error = refused(|store| {
        let large = json!([256, 256, 256]);
        edit(store, "0/zarr.json", "/codecs/0/configuration/chunk_shape", large.clone());
        edit(store, "0/zarr.json", "/chunk_grid/configuration/chunk_shape", large.clone());
        edit(store, "zarr.json", "/attributes/voxpatch/layout/chunk", large.clone());
        edit(store, "zarr.json", "/attributes/voxpatch/layout/shard", large);
    });
    assert!(matches!(error, Error::NotVoxpatch { .. }), "{error}");
}

#[test]
fn only_a_type_that_holds_all_of_the_stored_one_can_have_been_narrowed() {
    let claim = |original: Value| {
        let store = Store::new("gzip:1");
        store.claim(original);
        store.use_it()
    };
    for original in ["int32", "int64", "float32", "float64"] {
        claim(json!(original)).unwrap();
    }
    claim(Value::Null).unwrap();
    let others =
        ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "float16", "", "../int32"];
    for original in others.map(Value::from).into_iter().chain([json!(7), json!([]), json!({})]) {
        let error = claim(original.clone()).unwrap_err();
        assert!(matches!(error, Error::NotVoxpatch { .. }), "{original}: {error}");
    }
}

#[test]
fn voxels_that_cannot_be_addressed_in_their_original_type_are_not_opened() {
    let error = refused(|store| {
        store.claim(json!("float64"));
        edit(store, "0/zarr.json", "/shape", json!([1_u64 << 20, 1_u64 << 20, 1_u64 << 21]));
    });
    assert!(matches!(error, Error::NotVoxpatch { .. }), "{error}");
    assert!(error.to_string().contains("float64"), "{error}");
}

#[test]
fn lengths_without_end_are_damage() {
    let error = refused(|store| {
        for n in 0..2 {
            let pointer = format!("/manifest/shards/{n}/file/bytes");
            edit(store, super::manifest::KEY, &pointer, json!(u64::MAX));
        }
    });
    assert!(matches!(error, Error::CorruptStore { .. }), "{error}");
    let store = Store::new("none");
    for n in 0..2 {
        let pointer = format!("/manifest/shards/{n}/file/bytes");
        edit(&store, super::manifest::KEY, &pointer, json!(u64::MAX));
    }
    let dataset = Dataset::open(store.root()).unwrap();
    assert!(!dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap().is_sound());
}

/// The shape of the array, and all that follows from it: chunks as large as they may be, in one
/// shard that holds nothing.
fn claim_shape(store: &Store, shape: [u64; 3]) {
    let chunk = shape.map(|n| n.min(1 << 24));
    edit(store, "0/zarr.json", "/shape", json!(shape));
    let grid = "/chunk_grid/configuration/chunk_shape";
    edit(store, "0/zarr.json", grid, json!(shape));
    edit(store, "0/zarr.json", "/codecs/0/configuration/chunk_shape", json!(chunk));
    let layout = "/attributes/voxpatch/layout";
    edit(store, DOCUMENT, &format!("{layout}/chunk"), json!(chunk));
    edit(store, DOCUMENT, &format!("{layout}/shard"), json!(shape));
    edit(store, DOCUMENT, "/attributes/voxpatch/kind", json!("label"));
    let shards = json!([{"key": "c/0/0/0", "file": null}]);
    edit(store, super::manifest::KEY, "/manifest/shards", shards);
}

#[test]
fn a_small_store_that_claims_a_layer_beyond_memory_is_refused_by_whatever_needs_the_layer() {
    let store = Store::new("none");
    claim_shape(&store, [1, 1 << 44, 1]);
    let dataset = Dataset::open(store.root()).unwrap();
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(1).unwrap());
    let volume = dataset.open_volume(&name).unwrap();
    // A patch of it is as good as any.
    let patch = volume.read::<i16>(Region::new([0, 1 << 43, 0], [1, 5, 1])).unwrap();
    assert!(patch.iter().all(|voxel| *voxel == 0));
    let refused = |error: Error| {
        let told = error.to_string();
        assert!(told.contains("layer of chunks") && told.contains("memory"), "{told}");
    };
    assert!(!dataset.verify(&pool, &|_| true).unwrap().is_sound());
    refused(dataset.build_index(&name, &pool, &|_| true).unwrap_err());
    // As an export reads it.
    let layer = Strips::read_as(&volume, Dtype::Int16, crate::Frame::default(), 0);
    refused(layer.map(drop).unwrap_err());
}

#[test]
fn a_missing_document_is_damage() {
    for key in [super::manifest::KEY, "0/zarr.json", "zarr.json"] {
        let error = refused(|store| std::fs::remove_file(store.file(key)).unwrap());
        let named =
            matches!(&error, Error::CorruptStore { path, .. } if Path::ends_with(path, key));
        assert!(named, "{error}");
    }
}
