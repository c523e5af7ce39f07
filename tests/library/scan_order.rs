//! Voxels may come frame by frame, plane by plane or voxel by voxel of several frames: stored are
//! the same bytes.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::collections::BTreeMap;

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::files_as_written;
use ndarray::Array5;
use proptest::prelude::*;
use voxpatch::layout::{Codec, PlanOptions};
use voxpatch::scan::Order;
use voxpatch::{
    ConvertOptions, Dataset, Element, Error, Frame, Kind, Pool, Region, Scaling, convert,
};

fn chunks(chunk: [usize; 3]) -> PlanOptions {
    PlanOptions::default().chunk(Some(chunk))
}

/// Every file of the store that a scan becomes, after its voxels were compared.
fn stored<T: Element>(
    scan: DenseScan,
    voxels: &Array5<T>,
    options: &ConvertOptions,
    threads: usize,
) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(threads).unwrap());
    convert(Box::new(scan), &dataset, &name, options, &pool, &|_| true).unwrap();
    let volume = dataset.open_volume(&name).unwrap();
    for (time, channels) in voxels.outer_iter().enumerate() {
        for (channel, expected) in channels.outer_iter().enumerate() {
            let frame = volume.view().frame(Frame { time, channel }).unwrap();
            let read = frame.read::<T>(Region::whole(volume.shape())).unwrap();
            assert!(read == expected, "time {time}, channel {channel}");
        }
    }
    files_as_written(folder.path())
}

/// Every order that so many frames can come in.
fn orders(frames: usize) -> impl Iterator<Item = Order> {
    let groups = (1..=frames).filter(move |group| frames.is_multiple_of(*group));
    groups.flat_map(|group| [Order::Planes(group), Order::Voxels(group)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn scan_order_does_not_change_a_stored_byte(
        (times, channels) in prop::sample::select(vec![(1, 1), (1, 3), (2, 2), (4, 1)]),
        shape in prop::array::uniform3(1_usize..9),
        depth in 1_usize..9,
        seed: u64,
    ) {
        let [z, y, x] = shape;
        let dense = voxels::<i16>([times, channels, z, y, x], seed);
        let options = ConvertOptions::default().plan(chunks([depth, 4, 5]));
        let expected = stored(DenseScan::new(&dense), &dense, &options, 1);
        for order in orders(times * channels) {
            for threads in [1, 3] {
                let scan = DenseScan::ordered(&dense, order);
                let found = stored(scan, &dense, &options, threads);
                prop_assert!(found == expected, "{order:?}, {threads} threads");
            }
        }
    }
}

#[test]
fn scan_order_is_kept_by_whatever_reads_the_scan_before_it_is_stored() {
    let whole = voxels::<i32>([2, 3, 7, 6, 5], 1);
    let labels = whole.mapv(|v| (v % 5) as u8);
    let floats = whole.mapv(|v| v as f32 / 3.0);
    let plan = chunks([3, 4, 5]);
    let narrow = ConvertOptions::default().plan(plan).narrow(true);
    let tried = PlanOptions::default();
    let tried = narrow.clone().plan(tried).codecs(Codec::CANDIDATES.to_vec());
    let label = ConvertOptions::default().plan(plan).kind(Some(Kind::Label));
    let narrowed = stored(DenseScan::new(&whole), &whole, &narrow, 1);
    let best = stored(DenseScan::new(&whole), &whole, &tried, 1);
    let indexed = stored(DenseScan::new(&labels), &labels, &label, 1);
    let mut weighed = None;
    for order in orders(6).filter(|order| order.group() > 1) {
        let found = stored(DenseScan::ordered(&whole, order), &whole, &narrow, 2);
        assert!(found == narrowed, "{order:?}, narrowed");
        let found = stored(DenseScan::ordered(&whole, order), &whole, &tried, 2);
        assert!(found == best, "{order:?}, codecs tried");
        let found = stored(DenseScan::ordered(&labels, order), &labels, &label, 2);
        assert!(found == indexed, "{order:?}, labels");
        // Labels with a scaling: 2 x voxel.
        let mut scan = DenseScan::ordered(&labels, order);
        scan.header_mut().scaling = Some(Scaling { slope: 2.0, intercept: 0.0 });
        let found = stored(scan, &labels.mapv(|v| 2 * v), &label, 2);
        assert!(*weighed.get_or_insert_with(|| found.clone()) == found, "{order:?}, scaled labels");
        // Sums of floats may differ by their order, but not by the number of threads.
        let plain = ConvertOptions::default().plan(plan);
        let of = |threads| stored(DenseScan::ordered(&floats, order), &floats, &plain, threads);
        assert!(of(1) == of(3), "{order:?}, floats");
    }
}

#[test]
fn scan_order_does_not_move_the_voxel_that_is_no_label() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let mut dense = voxels::<i16>([2, 3, 4, 3, 2], 1).mapv(|v| 2 * v);
    dense[[1, 2, 3, 1, 0]] = 7;
    let options = ConvertOptions::default().kind(Some(Kind::Label));
    for order in orders(6).chain([Order::Frames]) {
        let mut scan = DenseScan::ordered(&dense, order);
        scan.header_mut().scaling = Some(Scaling { slope: 0.5, intercept: 0.0 });
        let told = store(scan, &dataset, "a/b", &options).unwrap_err().to_string();
        assert!(told.contains("3,1,0 (z, y, x) of time 1, channel 2"), "{order:?}: {told}");
    }
}

#[test]
fn scan_order_of_groups_that_are_not_whole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let dense = voxels::<i16>([1, 3, 4, 3, 2], 1);
    for order in [Order::Planes(2), Order::Voxels(0), Order::Voxels(4), Order::Planes(usize::MAX)] {
        let mut scan = DenseScan::new(&dense);
        scan.header_mut().order = order;
        let error = store(scan, &dataset, "a/b", &ConvertOptions::default()).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        assert!(error.to_string().contains("3 frames"), "{error}");
    }
}
