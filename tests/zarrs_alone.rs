//! Linking this crate is all that a program of zarrs needs for the packed codec: nothing of the
//! crate is named here, so the linker has no other reason to keep the codec.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use voxpatch as _;
use zarrs::array::codec::api::{ArrayToBytesCodecTraits, Codec};
use zarrs::array::{Array, ArrayBuilder, ArrayBytes, ArraySubset, DataType, FillValue, data_type};
use zarrs::metadata::v3::MetadataV3;
use zarrs::storage::store::MemoryStore;

fn packed(key_every: u64) -> Arc<dyn ArrayToBytesCodecTraits> {
    let text =
        format!(r#"{{"name": "voxpatch.packed", "configuration": {{"key_every": {key_every}}}}}"#);
    match Codec::from_metadata(&serde_json::from_str::<MetadataV3>(&text).unwrap()).unwrap() {
        Codec::ArrayToBytes(codec) => codec,
        _ => panic!("a codec from voxels to bytes"),
    }
}

#[test]
fn arrays_of_any_rank_come_back() {
    for key_every in [0, 1, 3] {
        for (shape, chunk) in [
            (vec![50], vec![20]),
            (vec![9, 40], vec![4, 24]),
            (vec![9, 10, 40], vec![4, 5, 24]),
            (vec![2, 9, 10, 11], vec![2, 4, 5, 11]),
        ] {
            let store = Arc::new(MemoryStore::new());
            let array = ArrayBuilder::new(shape.clone(), chunk, data_type::int16(), -5_i16)
                .array_to_bytes_codec(packed(key_every))
                .build(store.clone(), "/array")
                .unwrap();
            array.store_metadata().unwrap();
            let all = ArraySubset::new_with_shape(shape.clone());
            let count = i16::try_from(shape.iter().product::<u64>()).unwrap();
            let voxels: Vec<i16> = (0..count).map(|n| n.wrapping_mul(n) % 900 - 450).collect();
            array.store_array_subset(&all, &voxels).unwrap();

            let again = Array::open(store, "/array").unwrap();
            let found = again.retrieve_array_subset::<Vec<i16>>(&all).unwrap();
            assert_eq!(found, voxels, "{shape:?}");
            let corner = ArraySubset::new_with_shape(shape.iter().map(|n| n.div_ceil(3)).collect());
            let all_of = array.retrieve_array_subset::<Vec<i16>>(&corner).unwrap();
            let cut = again.retrieve_array_subset::<Vec<i16>>(&corner).unwrap();
            assert_eq!(cut, all_of, "{shape:?}");
        }
    }
}

#[test]
fn other_types_are_refused_with_what_to_use() {
    let types: [(DataType, FillValue); 3] = [
        (data_type::float32(), 0_f32.into()),
        (data_type::float64(), 0_f64.into()),
        (data_type::int64(), 0_i64.into()),
    ];
    for (data_type, fill) in types {
        let store = Arc::new(MemoryStore::new());
        let name = format!("{data_type:?}");
        let bytes = ArrayBytes::new_flen(vec![1_u8; 64 * data_type.fixed_size().unwrap()]);
        let array = ArrayBuilder::new(vec![8, 8], vec![8, 8], data_type, fill)
            .array_to_bytes_codec(packed(0))
            .build(store, "/array");
        let error = match array {
            Ok(array) => array.store_chunk(&[0, 0], bytes).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("packed stores integers"), "{name}: {error}");
        assert!(error.contains("blosc"), "{name}: {error}");
    }
}

#[test]
fn a_damaged_chunk_is_an_error() {
    use zarrs::storage::{ReadableStorageTraits as _, StoreKey, WritableStorageTraits as _};
    let store = Arc::new(MemoryStore::new());
    let array = ArrayBuilder::new(vec![4, 40], vec![4, 40], data_type::uint16(), 0_u16)
        .array_to_bytes_codec(packed(0))
        .build(store.clone(), "/array")
        .unwrap();
    array.store_chunk(&[0, 0], (0..160_u16).collect::<Vec<_>>()).unwrap();
    let key = StoreKey::new("array/c/0/0").unwrap();
    let chunk = store.get(&key).unwrap().unwrap();
    store.set(&key, chunk.slice(..chunk.len() - 1)).unwrap();
    assert!(array.retrieve_chunk::<Vec<u16>>(&[0, 0]).is_err());
}
