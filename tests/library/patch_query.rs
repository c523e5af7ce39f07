//! Any cuboid, inside the volume or not, is what `numpy.pad` and a slice of the dense array give.
#![allow(
    clippy::float_cmp,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use crate::common::dense::{DenseScan, oracle, store, voxels};
use ndarray::{Array3, s};
use proptest::prelude::*;
use voxpatch::layout::PlanOptions;
use voxpatch::{ConvertOptions, Dataset, Element, Error, Padding, Region, Scaling, Volume};

const SHAPE: [usize; 3] = [11, 14, 37];

struct Stored<T> {
    _folder: tempfile::TempDir,
    volume: Volume,
    dense: Array3<T>,
}

fn stored<T: Element>(codec: &str, chunk: [usize; 3], shard: [usize; 3]) -> Stored<T> {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let dense = voxels::<T>([1, 1, SHAPE[0], SHAPE[1], SHAPE[2]], 5);
    let plan =
        PlanOptions::default().codec(codec.parse().unwrap()).chunk(Some(chunk)).shard(Some(shard));
    let options = ConvertOptions::default().plan(plan);
    let mut scan = DenseScan::new(&dense);
    scan.header_mut().scaling = Some(Scaling { slope: 0.5, intercept: -3.25 });
    store(scan, &dataset, "a/b", &options).unwrap();
    let volume = dataset.volume("a/b").unwrap();
    Stored { _folder: folder, volume, dense: dense.slice(s![0, 0, .., .., ..]).to_owned() }
}

fn regions() -> impl Strategy<Value = Region> {
    let axis = |n: usize| (-2 * n as i64..3 * n as i64, 1..2 * n);
    (axis(SHAPE[0]), axis(SHAPE[1]), axis(SHAPE[2]))
        .prop_map(|((z, d), (y, h), (x, w))| Region::new([z, y, x], [d, h, w]))
}

fn paddings() -> impl Strategy<Value = Padding> {
    prop_oneof![
        (-5i32..300).prop_map(|v| Padding::Constant(v.into())),
        Just(Padding::Edge),
        Just(Padding::Reflect),
        Just(Padding::Symmetric),
        Just(Padding::Wrap),
    ]
}

fn layouts() -> impl Strategy<Value = (&'static str, [usize; 3], [usize; 3])> {
    let codecs = prop::sample::select(vec![
        "blosc",
        "blosc-zstd:1",
        "zstd:1",
        "gzip:1",
        "packed",
        "packed:1",
        "none",
    ]);
    let axis = |most: usize| (1..=most, 1..4usize);
    (codecs, axis(12), axis(15), axis(40))
        .prop_map(|(codec, z, y, x)| (codec, [z.0, y.0, x.0], [z.0 * z.1, y.0 * y.1, x.0 * x.1]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_region_of_any_layout_is_what_numpy_gives(
        (codec, chunk, shard) in layouts(),
        reads in prop::collection::vec((regions(), paddings()), 20),
    ) {
        let stored = stored::<i16>(codec, chunk, shard);
        for (region, padding) in reads {
            let expected = oracle(&stored.dense, region, padding);
            let found = stored.volume.view().padded(padding).read::<i16>(region).unwrap();
            prop_assert_eq!(&found, &expected);
            let inside = region.is_inside(SHAPE);
            match stored.volume.read::<i16>(region) {
                Ok(found) => prop_assert!(inside && found == expected),
                Err(Error::OutOfBounds { .. }) => prop_assert!(!inside),
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            }
            let real = stored.volume.view().padded(padding).scaled().read::<f32>(region).unwrap();
            for ((real, stored), at) in real.iter().zip(&expected).zip(ndarray::indices(region.shape)) {
                let z = region.start[0] + at.0 as i64;
                let y = region.start[1] + at.1 as i64;
                let x = region.start[2] + at.2 as i64;
                let outside = !Region::new([z, y, x], [1; 3]).is_inside(SHAPE);
                let expected = match padding {
                    // A constant is given in the units that are returned.
                    Padding::Constant(value) if outside => value,
                    _ => f64::from(*stored) * 0.5 - 3.25,
                };
                prop_assert_eq!(real.to_bits(), (expected as f32).to_bits());
            }
        }
    }
}

fn every_type<T: Element>() {
    let stored = stored::<T>("blosc", [4, 5, 16], [8, 10, 32]);
    for padding in [Padding::Constant(7.0), Padding::Reflect] {
        let region = Region::new([-3, 2, 30], [9, 9, 20]);
        let found = stored.volume.view().padded(padding).read::<T>(region).unwrap();
        assert_eq!(found, oracle(&stored.dense, region, padding));
    }
    let region = Region::new([1, 2, 3], [9, 11, 33]);
    let real = stored.volume.view().scaled().read::<f32>(region).unwrap();
    let dense = oracle(&stored.dense, region, Padding::Edge);
    assert_eq!(real, dense.mapv(|v| (v.to_f64() * 0.5 - 3.25) as f32));
}

#[test]
fn every_type_is_padded_and_scaled() {
    for dtype in voxpatch::Dtype::ALL {
        voxpatch::with_element!(dtype, T => every_type::<T>());
    }
}

#[test]
fn one_handle_serves_many_threads() {
    let stored = stored::<i16>("blosc", [4, 5, 16], [8, 10, 32]);
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (volume, dense) = (stored.volume.clone(), &stored.dense);
            scope.spawn(move || {
                for z in 0..6 {
                    let region = Region::new([z, start, 2 * start], [5, 10, 29]);
                    let found = volume.read::<i16>(region).unwrap();
                    assert_eq!(found, oracle(dense, region, Padding::Edge));
                }
            });
        }
    });
}

#[test]
fn a_constant_that_the_voxels_cannot_hold_is_an_error_and_a_wider_type_holds_it() {
    let volume = stored::<u8>("blosc", [4, 5, 16], [8, 10, 32]).volume;
    let padded = volume.view().padded(Padding::Constant(-1.0));
    let (outside, pool) = (Region::new([-2, 0, 0], [2, 3, 4]), voxpatch::Pool::new(1).unwrap());
    // One that does not leave the volume too: the next one may.
    for region in [outside, Region::new([0; 3], [2, 3, 4])] {
        let text = padded.read::<u8>(region).unwrap_err().to_string();
        let words = ["constant:-1", "uint8", "0 to 255"];
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert!(padded.read_into(region, &mut [0_u8; 24]).is_err());
        assert!(padded.read_many::<u8>(&[region], &pool).is_err());
    }
    let wide = padded.converted(voxpatch::Dtype::Int16).read::<i16>(outside).unwrap();
    assert!(wide.iter().all(|voxel| *voxel == -1));
    assert!(padded.scaled().read::<f32>(outside).unwrap().iter().all(|voxel| *voxel == -1.0));
    let volume = stored::<i16>("blosc", [4, 5, 16], [8, 10, 32]).volume;
    assert!(volume.view().padded(Padding::Constant(70_000.0)).read::<i16>(outside).is_err());
}

#[test]
fn impossible_reads_are_errors_that_say_what_to_do() {
    let volume = stored::<i16>("blosc", [4, 5, 16], [8, 10, 32]).volume;
    let read = |start, shape| volume.read::<i16>(Region::new(start, shape));
    assert!(matches!(read([0; 3], [0, 1, 1]), Err(Error::InvalidArgument { .. })));
    assert!(matches!(read([9, 0, 0], [3, 1, 1]), Err(Error::OutOfBounds { .. })));
    assert!(matches!(read([i64::MAX, 0, 0], [1, 1, 1]), Err(Error::OutOfBounds { .. })));
    assert!(matches!(
        volume
            .view()
            .padded(Padding::Edge)
            .read::<i16>(Region::new([0; 3], [usize::MAX / 2, 2, 2])),
        Err(Error::InvalidArgument { .. })
    ));
    assert!(matches!(
        volume.view().padded(Padding::Edge).read::<i16>(Region::new([0; 3], [1 << 40, 1 << 10, 2])),
        Err(Error::InvalidArgument { .. })
    ));
    let whole = Region::whole(SHAPE);
    assert!(matches!(volume.read::<u16>(whole), Err(Error::DtypeMismatch { .. })));
    assert!(matches!(volume.view().scaled().read::<i16>(whole), Err(Error::DtypeMismatch { .. })));
    assert!(volume.read_into::<i16>(whole, &mut [0; 3]).is_err());
    let frame = voxpatch::Frame { time: 1, channel: 0 };
    assert!(matches!(volume.view().frame(frame), Err(Error::InvalidArgument { .. })));
}

#[test]
fn cost_counts_what_is_touched() {
    let stored = stored::<i16>("zstd:1", [4, 5, 16], [8, 10, 32]);
    let cost = stored.volume.cost(Region::new([3, 4, 15], [2, 2, 2])).unwrap();
    assert_eq!((cost.chunks, cost.returned_bytes), (8, 16));
    assert!(cost.decoded_bytes <= 8 * 4 * 5 * 16 * 2 && cost.decoded_bytes > 0);
}
