//! Scans that scale each plane in its own way are stored as their real values.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use crate::common::dense::{DenseScan, voxels};
use ndarray::{Array5, ArrayD, Axis};
use proptest::prelude::*;
use voxpatch::layout::PlanOptions;
use voxpatch::scan::Order;
use voxpatch::{
    ConvertOptions, ConvertReport, Dataset, Dtype, Element, Error, Frame, Frames, Kind, Pool,
    Region, Result, Scaling, View, Volume, convert,
};

/// A scaling for each plane, in order of time, channel, z.
fn scalings(dense: &Array5<i16>, of: impl Fn(usize) -> (f64, f64)) -> Vec<Scaling> {
    let planes = dense.dim().0 * dense.dim().1 * dense.dim().2;
    let pair = |(slope, intercept)| Scaling { slope, intercept };
    (0..planes).map(|n| pair(of(n))).collect()
}

fn stored(
    dense: &Array5<i16>,
    order: Order,
    scalings: Vec<Scaling>,
    options: &ConvertOptions,
    threads: usize,
) -> Result<(Volume, ConvertReport, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(threads).unwrap());
    let mut scan = DenseScan::ordered(dense, order);
    scan.header_mut().plane_scalings = scalings;
    let report = convert(Box::new(scan), &dataset, &name, options, &pool, &|_| true)?;
    Ok((dataset.open_volume(&name)?, report, folder))
}

/// Voxel by voxel, in `f64`, then as the type that is stored.
fn oracle<T: Element>(dense: &Array5<i16>, scalings: &[Scaling]) -> ArrayD<T> {
    let (_, channels, depth, ..) = dense.dim();
    let real = |(at, voxel): ((usize, usize, usize, usize, usize), &i16)| {
        let Scaling { slope, intercept } = scalings[(at.0 * channels + at.1) * depth + at.2];
        <T as Element>::from_f64(f64::from(*voxel) * slope + intercept)
    };
    let values: Vec<T> = dense.indexed_iter().map(real).collect();
    ArrayD::from_shape_vec(dense.shape(), values).unwrap()
}

fn check<T: Element>(view: &View, expected: &ArrayD<T>) {
    for time in 0..view.volume().times() {
        let frames = view.frames(Frames::Time(time)).unwrap();
        let read = frames.read::<T>(Region::whole(view.volume().shape())).unwrap().into_dyn();
        assert!(read == expected.index_axis(Axis(0), time), "time {time}");
    }
}

fn orders() -> Vec<Order> {
    let groups = [2, 3, 6].into_iter();
    let interleaved = groups.flat_map(|group| [Order::Planes(group), Order::Voxels(group)]);
    interleaved.chain([Order::Frames]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn plane_scalings_become_real_values_in_every_order(
        shape in prop::array::uniform3(1_usize..8),
        depth in 1_usize..5,
        slopes in prop::collection::vec(-9_i32..9, 7),
        is_whole: bool,
        narrow: bool,
        order in prop::sample::select(orders()),
        seed: u64,
    ) {
        let [z, y, x] = shape;
        let dense = voxels::<i16>([2, 3, z, y, x], seed);
        let unit = if is_whole { 1.0 } else { 0.3 };
        // No two planes that follow each other are alike.
        let of = |n: usize| (f64::from(slopes[n % 7]) * unit, f64::from(slopes[n % 5]) + n as f64);
        let scalings = scalings(&dense, of);
        let plan = PlanOptions::default().chunk(Some([depth, 4, 4]));
        let options = ConvertOptions::default().plan(plan).narrow(narrow);
        let (volume, report, _folder) = stored(&dense, order, scalings.clone(), &options, 2).unwrap();
        prop_assert_eq!(volume.attributes().scaling, None);
        let told = report.findings.iter().any(|f| f.message.contains("different scalings"));
        prop_assert!(told);
        let fraction = scalings.iter().any(|s| s.slope.fract() != 0.0);
        if fraction {
            prop_assert_eq!(volume.dtype(), Dtype::Float32);
            check(&volume.view(), &oracle::<f32>(&dense, &scalings));
        } else {
            prop_assert!(volume.dtype().is_integer(), "{}", volume.dtype());
            let read = volume.view().converted(Dtype::Int32);
            check(&read, &oracle::<i32>(&dense, &scalings));
        }
    }
}

#[test]
fn plane_scalings_that_are_all_alike_are_one_and_voxels_stay() {
    let dense = voxels::<i16>([1, 2, 3, 4, 5], 1);
    let options = ConvertOptions::default();
    for (pair, kept) in
        [((2.5, -7.0), Some(Scaling { slope: 2.5, intercept: -7.0 })), ((1.0, 0.0), None)]
    {
        let alike = scalings(&dense, |_| pair);
        let (volume, report, _folder) = stored(&dense, Order::Frames, alike, &options, 1).unwrap();
        assert_eq!((volume.dtype(), volume.attributes().scaling), (Dtype::Int16, kept));
        assert!(!report.findings.iter().any(|f| f.message.contains("different scalings")));
        let frame = volume.view().frame(Frame { time: 0, channel: 1 }).unwrap();
        let read = frame.read::<i16>(Region::whole([3, 4, 5])).unwrap();
        assert!(read == dense.index_axis(Axis(0), 0).index_axis(Axis(0), 1));
    }
}

#[test]
fn plane_scalings_of_labels_mean_labels() {
    let dense = voxels::<i16>([1, 1, 4, 3, 5], 1).mapv(|v| v % 4);
    let scalings = scalings(&dense, |n| (1.0 + (n % 2) as f64, 0.0));
    let options = ConvertOptions::default().kind(Some(Kind::Label));
    let (volume, report, _folder) =
        stored(&dense, Order::Frames, scalings.clone(), &options, 1).unwrap();
    assert!(report.index.is_some());
    check(&volume.view().converted(Dtype::Int32), &oracle::<i32>(&dense, &scalings));
}

#[test]
fn plane_scalings_that_are_not_one_for_each_plane_or_not_finite_are_refused() {
    let dense = voxels::<i16>([1, 2, 3, 4, 5], 1);
    let sound = scalings(&dense, |n| (n as f64, 0.0));
    let mut nan = sound.clone();
    nan[4].slope = f64::NAN;
    for (scalings, words) in [(sound[1..].to_vec(), "6 planes"), (nan, "plane 4")] {
        let error = stored(&dense, Order::Frames, scalings, &ConvertOptions::default(), 1);
        let error = error.err().unwrap();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
