//! A program that knows zarrs alone, and links this crate, reads volumes of every type and codec.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use crate::common::dense::{DenseScan, store, voxels};
use ndarray::s;
use voxpatch::layout::PlanOptions;
use voxpatch::{ConvertOptions, Dataset, Dtype, Element, Region, with_element};
use zarrs::array::{Array, ArraySubset, ElementOwned};
use zarrs::filesystem::FilesystemStore;

fn is_read<T: Element + ElementOwned>(codec: &str) {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let plan = PlanOptions {
        codec: codec.parse().unwrap(),
        chunk: Some([4, 8, 20]),
        shard: Some([8, 16, 40]),
    };
    let options = ConvertOptions { plan, ..ConvertOptions::default() };
    let expected = voxels::<T>([1, 1, 13, 21, 35], 3);
    store(DenseScan::new(&expected), &dataset, "a/b", &options).unwrap();

    let metadata = std::fs::read(folder.path().join("a/b/0/zarr.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["data_type"], T::DTYPE.name());
    let files = FilesystemStore::new(folder.path()).unwrap();
    let array = Array::open(Arc::new(files), "/a/b/0").unwrap();
    let read = |start: [u64; 3], shape: [u64; 3]| {
        let subset = ArraySubset::new_with_start_shape(start.to_vec(), shape.to_vec()).unwrap();
        array.retrieve_array_subset::<Vec<T>>(&subset).unwrap()
    };
    let volume = dataset.volume("a/b").unwrap();
    let own = volume.read::<T>(Region::whole([13, 21, 35])).unwrap();
    assert_eq!(own, expected.slice(s![0, 0, .., .., ..]));
    assert_eq!(read([0; 3], [13, 21, 35]), own.into_raw_vec_and_offset().0);
    let own = volume.read::<T>(Region::new([3, 5, 7], [6, 11, 21])).unwrap();
    assert_eq!(read([3, 5, 7], [6, 11, 21]), own.into_raw_vec_and_offset().0);
}

#[test]
fn zarrs_reads_what_was_converted() {
    for codec in ["packed", "packed:0", "packed:1"] {
        for dtype in Dtype::ALL.into_iter().filter(|t| t.is_integer() && t.size() <= 4) {
            with_element!(dtype, T => is_read::<T>(codec));
        }
    }
    for codec in ["blosc", "blosc-zstd:1", "zstd:1", "gzip:1", "none"] {
        for dtype in Dtype::ALL {
            with_element!(dtype, T => is_read::<T>(codec));
        }
    }
}
