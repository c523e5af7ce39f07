//! A program that knows zarrs alone, and links this crate, reads volumes of every type and codec.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::{generation, generation_name};
use crate::common::predict::source;
use ndarray::{Array4, s};
use voxpatch::aggregate::{AggregateOptions, Aggregator, Blend, Output, Plan, Values};
use voxpatch::layout::PlanOptions;
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{ConvertOptions, Dataset, Dtype, Element, Pool, Region, with_element};
use zarrs::array::{Array, ArraySubset, ElementOwned};
use zarrs::filesystem::FilesystemStore;

fn is_read<T: Element + ElementOwned>(codec: &str) {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let plan = PlanOptions::default()
        .codec(codec.parse().unwrap())
        .chunk(Some([4, 8, 20]))
        .shard(Some([8, 16, 40]));
    let options = ConvertOptions::default().plan(plan);
    let expected = voxels::<T>([1, 1, 13, 21, 35], 3);
    store(DenseScan::new(&expected), &dataset, "a/b", &options).unwrap();

    let metadata = std::fs::read(generation(folder.path(), "a/b").join("0/zarr.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["data_type"], T::DTYPE.name());
    let files = FilesystemStore::new(folder.path()).unwrap();
    let array =
        Array::open(Arc::new(files), &format!("/a/b/{}/0", generation_name(folder.path(), "a/b")))
            .unwrap();
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

/// Every place of a grid.
fn chunks(grid: &[u64]) -> Vec<Vec<u64>> {
    grid.iter().fold(vec![Vec::new()], |places, n| {
        let with = |place: Vec<u64>| (0..*n).map(move |i| [&place[..], &[i]].concat());
        places.into_iter().flat_map(with).collect()
    })
}

/// Whole shards of a float32 volume of channels, what they hold beyond its border included: whether
/// each voxel is inside, and the voxel.
fn whole_shards(folder: &std::path::Path, name: &str) -> Vec<(bool, f32)> {
    let files = FilesystemStore::new(folder).unwrap();
    let array =
        Array::open(Arc::new(files), &format!("/{name}/{}/0", generation_name(folder, name)))
            .unwrap();
    let [_, depth, rows, columns] = <[u64; 4]>::try_from(array.shape().to_vec()).unwrap();
    let mut found = Vec::new();
    for at in chunks(array.chunk_grid_shape()) {
        let voxels = array.retrieve_chunk::<Vec<f32>>(&at).unwrap();
        let shape: Vec<u64> = array.chunk_shape(&at).unwrap().iter().map(|n| n.get()).collect();
        for (n, voxel) in (0..).zip(voxels) {
            let z = at[1] * shape[1] + n / shape[3] / shape[2];
            let y = at[2] * shape[2] + n / shape[3] % shape[2];
            let x = at[3] * shape[3] + n % shape[3];
            found.push((z < depth && y < rows && x < columns, voxel));
        }
    }
    found
}

#[test]
fn beyond_the_border_of_predictions_there_are_zeros_whatever_patches_hold_there() {
    for blend in [Blend::Crop, Blend::Average, Blend::Hann] {
        for missing in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (dataset, volume) = source(folder.path(), [13, 21, 35]);
            let sampler = GridSampler::new([6, 8, 10], Overlap::Voxels([2, 4, 4])).unwrap();
            let output = Output::new("a/p".parse().unwrap(), 2, Values::Float32)
                .chunk(Some([4, 8, 10]))
                .shard(Some([8, 16, 20]));
            let sampler = sampler.pad_borders(true);
            let plan = Arc::new(Plan::new(&volume, &sampler, blend, vec![output]).unwrap());
            let pool = Pool::new(2).unwrap();
            let options = AggregateOptions::default();
            let mut aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options).unwrap();
            let shape = plan.prediction(0).unwrap();
            for number in plan.order().filter(|n| !missing || n % 5 > 0) {
                aggregator.add(number, &[Array4::from_elem(shape, 7.0).view()]).unwrap();
            }
            if missing {
                assert!(aggregator.fill_missing(7.0, &pool, &|| true).unwrap() > 0);
            }
            aggregator.finish(&pool, &|_| true).unwrap();
            let found = whole_shards(&dataset.path(), "a/p");
            assert!(found.iter().any(|(inside, _)| !inside));
            for (inside, voxel) in found {
                let expected = if inside { 7_f32 } else { 0.0 };
                assert_eq!(voxel.to_bits(), expected.to_bits(), "{blend}");
            }
        }
    }
}
