//! Narrowed, a scan takes fewer bytes and reads back as it was, bit for bit; what cannot be narrowed
//! is stored as it is.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::common::dense::{DenseScan, oracle, store};
use crate::common::nifti::Nifti;
use ndarray::{Array5, s};
use proptest::prelude::*;
use voxpatch::layout::PlanOptions;
use voxpatch::scan::{Scan, ScanHeader};
use voxpatch::{
    ConvertOptions, ConvertReport, Dataset, Dtype, Element, Error, Finding, Frame, Kind, Padding,
    Pool, Region, Result, Scaling, Volume, convert, with_element,
};

/// Narrow types by preference, and what they hold.
const NARROW: [(Dtype, i128, i128); 6] = [
    (Dtype::UInt8, 0, u8::MAX as i128),
    (Dtype::Int8, i8::MIN as i128, i8::MAX as i128),
    (Dtype::UInt16, 0, u16::MAX as i128),
    (Dtype::Int16, i16::MIN as i128, i16::MAX as i128),
    (Dtype::UInt32, 0, u32::MAX as i128),
    (Dtype::Int32, i32::MIN as i128, i32::MAX as i128),
];

/// The type to expect for whole numbers of this range. Floats of 16 bits are not narrowed.
fn narrowest(dtype: Dtype, least: i128, greatest: i128) -> Dtype {
    if dtype == Dtype::Float16 {
        return dtype;
    }
    let fits = |(narrow, low, high): &(Dtype, i128, i128)| {
        narrow.size() < dtype.size() && *low <= least && greatest <= *high
    };
    NARROW.iter().find(|narrow| fits(narrow)).map_or(dtype, |narrow| narrow.0)
}

/// The voxel of this type that is nearest to a whole number.
fn voxel<T: Element>(value: i128) -> T {
    let (low, high) = match T::DTYPE {
        Dtype::UInt64 => (0, u64::MAX.into()),
        Dtype::Int64 => (i64::MIN.into(), i64::MAX.into()),
        dtype => {
            NARROW.iter().find(|n| n.0 == dtype).map_or((i128::MIN, i128::MAX), |n| (n.1, n.2))
        }
    };
    if !T::DTYPE.is_integer() {
        return T::from_f64(value as f64);
    }
    let bytes = value.clamp(low, high).to_ne_bytes();
    let bytes = if cfg!(target_endian = "big") {
        &bytes[16 - size_of::<T>()..]
    } else {
        &bytes[..size_of::<T>()]
    };
    bytemuck::pod_read_unaligned(bytes)
}

/// A whole number again; exact for what [`voxel`] makes.
fn whole<T: Element>(voxel: T) -> i128 {
    let bytes = bytemuck::bytes_of(&voxel);
    match T::DTYPE {
        Dtype::UInt64 => bytemuck::pod_read_unaligned::<u64>(bytes).into(),
        Dtype::Int64 => bytemuck::pod_read_unaligned::<i64>(bytes).into(),
        _ => voxel.to_f64() as i128,
    }
}

fn bits<T: Element>(voxels: &[T]) -> &[u8] {
    bytemuck::cast_slice(voxels)
}

fn options() -> ConvertOptions {
    let plan = PlanOptions::default()
        .codec("blosc-lz4".parse().unwrap())
        .chunk(Some([3, 4, 5]))
        .shard(Some([6, 8, 10]));
    ConvertOptions::default().plan(plan).narrow(true)
}

struct Stored {
    _folder: tempfile::TempDir,
    report: ConvertReport,
    volume: Volume,
}

fn stored(scan: DenseScan, options: &ConvertOptions) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let report = store(scan, &dataset, "a/b", options).unwrap();
    let volume = dataset.volume("a/b").unwrap();
    assert!(dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap().is_sound());
    Stored { _folder: folder, report, volume }
}

/// The finding on narrowing.
fn told(report: &ConvertReport) -> &str {
    let mut told = report.findings.iter().map(|f| &*f.message).filter(|m| m.contains("narrowed"));
    let only = told.next().expect("narrowing is told of");
    assert_eq!(told.next(), None);
    only
}

/// Stores voxels narrowed, requires the type that they are stored in, and reads them back.
fn assert_stored_as<T: Element>(voxels: &Array5<T>, expected: Dtype) -> Stored {
    let stored = stored(DenseScan::new(voxels), &options());
    let Stored { report, volume, .. } = &stored;
    assert_eq!((volume.dtype(), volume.stored_dtype()), (T::DTYPE, expected));
    assert_eq!((report.dtype, report.stored_dtype), (T::DTYPE, expected));
    assert_eq!(report.raw_bytes as usize, voxels.len() * size_of::<T>());
    assert_eq!(volume.raw_bytes(), report.raw_bytes);
    let info = volume.info();
    assert_eq!((info.dtype, info.stored_dtype), (T::DTYPE, expected));
    let original = volume.attributes().original_dtype;
    assert_eq!(original, (T::DTYPE != expected).then_some(T::DTYPE));
    assert_eq!(told(report).contains("not narrowed"), T::DTYPE == expected, "{}", told(report));
    for time in 0..volume.times() {
        for channel in 0..volume.channels() {
            let view = volume.view().frame(Frame { time, channel }).unwrap();
            let found = view.read::<T>(Region::whole(volume.shape())).unwrap();
            let frame = voxels.slice(s![time, channel, .., .., ..]).to_owned();
            assert_eq!(bits(found.as_slice().unwrap()), bits(frame.as_slice().unwrap()));
        }
    }
    stored
}

/// Whole numbers about which types differ.
fn edge() -> impl Strategy<Value = i128> {
    let mut edges = vec![0, i64::MIN.into(), i64::MAX.into(), u64::MAX.into()];
    edges.extend(NARROW.iter().flat_map(|(_, low, high)| [*low, *high]));
    edges.extend([1 << 24, 1 << 53, 1 << 31].into_iter().flat_map(|n: i128| [n, -n]));
    let near = (prop::sample::select(edges), -2..=2_i128).prop_map(|(edge, step)| edge + step);
    prop_oneof![3 => near, 1 => (-300..70_000_i32).prop_map(i128::from)]
}

fn regions() -> impl Strategy<Value = (Region, Padding)> {
    let start = prop::array::uniform3(-9..14_i64);
    let shape = prop::array::uniform3(1..12_usize);
    let padding = prop::sample::select(vec![
        Padding::Constant(7.0),
        Padding::Edge,
        Padding::Reflect,
        Padding::Symmetric,
        Padding::Wrap,
    ]);
    (start, shape, padding).prop_map(|(start, shape, padding)| (Region::new(start, shape), padding))
}

fn round_trip<T: Element>(
    [t, c, z, y, x]: [usize; 5],
    ends: [i128; 2],
    seed: u64,
    reads: &[(Region, Padding)],
) {
    let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
    let mut state = seed | 1;
    let voxels = Array5::from_shape_simple_fn((t, c, z, y, x), || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The ends themselves, a voxel or two from one of them, or any between.
        let near = i128::from(state >> 8 & 1);
        voxel::<T>(match state % 5 {
            0 => low,
            1 => high,
            2 => (low + near).min(high),
            3 => (high - near).max(low),
            _ => low + (i128::from(state >> 3) % (high - low + 1)),
        })
    });
    let values = || voxels.iter().map(|v| whole(*v));
    let expected = narrowest(T::DTYPE, values().min().unwrap(), values().max().unwrap());
    let stored = assert_stored_as(&voxels, expected);
    // As if the narrow voxels had been the source.
    let digest = with_element!(expected, N => {
        let narrow = voxels.mapv(|v| voxel::<N>(whole(v)));
        let options = options().narrow(false);
        self::stored(DenseScan::new(&narrow), &options).report.voxel_digest
    });
    assert_eq!(stored.volume.voxel_digest(), digest);

    let last = Frame { time: t - 1, channel: c - 1 };
    let dense = voxels.slice(s![t - 1, c - 1, .., .., ..]).to_owned();
    let view = stored.volume.view().frame(last).unwrap();
    for (region, padding) in reads {
        let found = view.padded(*padding).read::<T>(*region).unwrap();
        let expected = oracle(&dense, *region, *padding);
        assert_eq!(bits(found.as_slice().unwrap()), bits(expected.as_slice().unwrap()));
        if region.is_inside(stored.volume.shape()) {
            assert_eq!(view.read::<T>(*region).unwrap(), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whole_numbers_come_back_from_the_narrowest_type_that_holds_them(
        dtype in prop::sample::select(Dtype::ALL.to_vec()),
        shape in (1..3_usize, 1..3_usize, 1..8_usize, 1..8_usize, 1..13_usize),
        ends in prop::array::uniform2(edge()),
        seed: u64,
        reads in prop::collection::vec(regions(), 4),
    ) {
        let (t, c, z, y, x) = shape;
        with_element!(dtype, T => round_trip::<T>([t, c, z, y, x], ends, seed, &reads));
    }
}

/// Two frames of zeros and ones, but for one voxel.
fn but_for<T: Element>(odd: T, at: [usize; 5]) -> Array5<T> {
    let mut voxels =
        Array5::from_shape_fn((2, 1, 3, 20, 30), |(.., x)| T::from_f64((x % 2) as f64));
    voxels[at] = odd;
    voxels
}

fn assert_kept<T: Element>(odd: T, shown: &str) {
    for at in [[0; 5], [1, 0, 2, 19, 29]] {
        let stored = assert_stored_as(&but_for(odd, at), T::DTYPE);
        assert!(told(&stored.report).contains(shown), "{}", told(&stored.report));
    }
}

#[test]
fn one_voxel_that_no_narrower_integer_holds_is_named_and_nothing_is_narrowed() {
    assert_kept(f32::NAN, "NaN");
    assert_kept(f32::INFINITY, "inf");
    assert_kept(-0.0_f32, "-0.0");
    assert_kept(0.5_f32, "0.5");
    assert_kept(1e-40_f32, "1e-40");
    assert_kept(16_777_217_i32 as f32, "16777216.0");
    assert_kept(65_536_f32, "65536.0");
    assert_kept(1e300_f64, "1e300");
    assert_kept(f64::from(u32::MAX) + 1.0, "4294967296.0");
    assert_kept(-0.0_f64, "-0.0");
    assert_kept(f64::NEG_INFINITY, "-inf");
    assert_kept(i64::MIN, "-9223372036854775808");
    assert_kept((1_i64 << 53) + 1, "9007199254740993");
    assert_kept(u64::MAX, "18446744073709551615");
    assert_kept(i32::MAX, "2147483647");
    assert_kept(-129_i16, "-129");
}

#[test]
fn one_voxel_decides_on_the_type() {
    fn decides<T: Element>(odd: T, expected: Dtype) {
        for at in [[0; 5], [1, 0, 2, 19, 29]] {
            assert_stored_as(&but_for(odd, at), expected);
        }
    }
    decides(65_535_f32, Dtype::UInt16);
    decides(-1_f32, Dtype::Int8);
    decides(-1024_f32, Dtype::Int16);
    decides(16_777_217_f64, Dtype::UInt32);
    decides(f64::from(i32::MIN), Dtype::Int32);
    decides(i64::from(u32::MAX), Dtype::UInt32);
    decides(200_i32, Dtype::UInt8);
}

#[test]
fn two_voxels_too_far_apart_are_both_named() {
    let mut voxels = but_for(-1_f32, [0, 0, 0, 5, 6]);
    voxels[[1, 0, 2, 1, 1]] = 40_000.0;
    let stored = assert_stored_as(&voxels, Dtype::Float32);
    let told = told(&stored.report);
    assert!(told.contains("-1.0 and 40000.0"), "{told}");
}

#[test]
fn a_scan_larger_than_is_read_at_a_time_is_narrowed_too() {
    let mut voxels = Array5::from_shape_fn((1, 1, 5, 300, 400), |(.., y, x)| (x * y % 200) as f32);
    let options = ConvertOptions::default().narrow(true);
    for (odd, expected) in [(3.0, Dtype::UInt8), (-1.0, Dtype::Int16), (0.5, Dtype::Float32)] {
        voxels[[0, 0, 4, 299, 0]] = odd;
        let stored = stored(DenseScan::new(&voxels), &options);
        assert_eq!(stored.volume.stored_dtype(), expected);
        let found = stored.volume.read::<f32>(Region::whole([5, 300, 400])).unwrap();
        assert_eq!(found, voxels.slice(s![0, 0, .., .., ..]));
    }
}

#[test]
fn labels_statistics_and_scaling_are_those_of_the_values() {
    let voxels = Array5::from_shape_fn((1, 1, 6, 7, 8), |(.., z, y, x)| {
        (z as i32 * 30 + y as i32 * x as i32) % 250
    });
    let both = |kind, scaling| {
        [false, true].map(|narrow| {
            let mut scan = DenseScan::new(&voxels);
            scan.header_mut().scaling = scaling;
            stored(scan, &options().kind(Some(kind)).narrow(narrow))
        })
    };
    let [plain, narrowed] = both(Kind::Label, None);
    assert_eq!(narrowed.volume.stored_dtype(), Dtype::UInt8);
    let statistics = |stored: &Stored| stored.volume.attributes().statistics.clone();
    assert_eq!(statistics(&narrowed), statistics(&plain));

    let scaling = Some(Scaling { slope: 0.3, intercept: -7.25 });
    let [plain, narrowed] = both(Kind::Intensity, scaling);
    assert_eq!(statistics(&narrowed), statistics(&plain));
    let region = Region::new([-1, 2, 3], [6, 5, 9]);
    let [plain, narrowed] = [plain, narrowed].map(|stored| {
        stored.volume.view().scaled().padded(Padding::Reflect).read::<f32>(region).unwrap()
    });
    assert_eq!(narrowed, plain);
}

#[test]
fn volumes_that_are_not_narrowed_do_not_mention_it() {
    let voxels = but_for(3_i16, [0; 5]);
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let options = options().narrow(false);
    let report = store(DenseScan::new(&voxels), &dataset, "a/b", &options).unwrap();
    assert!(report.findings.iter().all(|f| !f.message.contains("narrowed")));
    let group = std::fs::read_to_string(folder.path().join("a/b/zarr.json")).unwrap();
    assert!(!group.contains("original_dtype"));
    let volume = dataset.volume("a/b").unwrap();
    assert_eq!((volume.dtype(), volume.stored_dtype()), (Dtype::Int16, Dtype::Int16));
}

/// Voxels of a NIfTI file, narrowed from there.
#[test]
fn files_are_read_twice_whatever_their_container() {
    for (big, single, gzip) in (0..8_u8).map(|i| (i & 1 > 0, i & 2 > 0, i & 4 > 0)) {
        let mut nifti = Nifti::new(1, big, single, Dtype::Int32, &[7, 5, 4, 3, 2]);
        let values: Vec<i32> = (0..7 * 5 * 4 * 3 * 2).map(|n| n * 37 % 251).collect();
        let bytes = |v: &i32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        nifti.voxels = values.iter().flat_map(bytes).collect();
        let folder = tempfile::tempdir().unwrap();
        let scan = voxpatch::scan::open(&nifti.write(folder.path(), gzip)).unwrap();
        let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
        let (name, pool) = ("a/b".parse().unwrap(), Pool::new(2).unwrap());
        let done = convert(scan, &dataset, &name, &options(), &pool, &|_| true).unwrap();
        assert_eq!((done.dtype, done.stored_dtype), (Dtype::Int32, Dtype::UInt8));
        let volume = dataset.volume("a/b").unwrap();
        for (n, expected) in values.chunks(7 * 5 * 4).enumerate() {
            let frame = volume.view().frame(Frame { time: n % 3, channel: n / 3 }).unwrap();
            let found = frame.read::<i32>(Region::whole([4, 5, 7])).unwrap();
            assert_eq!(found.as_slice().unwrap(), expected);
        }
    }
}

/// A scan that is another when it is read again.
struct Changing(DenseScan, Option<DenseScan>);

impl Scan for Changing {
    fn header(&self) -> &ScanHeader {
        self.0.header()
    }

    fn frame(&self, n: usize) -> Frame {
        self.0.frame(n)
    }

    fn read_planes(&mut self, out: &mut [u8]) -> Result<()> {
        self.0.read_planes(out)
    }

    fn finish(&mut self) -> Result<Vec<Finding>> {
        self.0.finish()
    }

    fn rewind(&mut self) -> Result<()> {
        self.0 = self.1.take().unwrap();
        Ok(())
    }
}

#[test]
fn a_scan_that_changes_between_the_passes_is_refused() {
    let [before, after] = [3_f32, 300.0].map(|v| DenseScan::new(&but_for(v, [1, 0, 2, 5, 5])));
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(1).unwrap());
    let scan = Box::new(Changing(before, Some(after)));
    let done = convert(scan, &dataset, &name, &options(), &pool, &|_| true);
    assert!(matches!(done, Err(Error::InvalidArgument { what: "scan", .. })), "{done:?}");
    assert!(!folder.path().join("s.zarr").exists());
}

#[test]
fn progress_counts_the_bytes_of_the_source_twice_and_can_stop_at_any_of_them() {
    fn counts<T: Element>(odd: T) {
        let folder = tempfile::tempdir().unwrap();
        let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
        let (name, pool) = ("a/b".parse().unwrap(), Pool::new(2).unwrap());
        let voxels = but_for(odd, [1, 0, 0, 0, 0]);
        let run = |stop: u64| {
            let (calls, seen) = (AtomicU64::new(0), AtomicU64::new(0));
            let progress = |bytes| {
                seen.fetch_add(bytes, SeqCst);
                calls.fetch_add(1, SeqCst) < stop
            };
            let scan = Box::new(DenseScan::new(&voxels));
            let done = convert(scan, &dataset, &name, &options(), &pool, &progress);
            (done, calls.into_inner(), seen.into_inner())
        };
        for stop in 0..3 {
            assert!(matches!(run(stop).0, Err(Error::Cancelled)));
            assert!(!folder.path().join("s.zarr").exists());
        }
        let (done, calls, bytes) = run(u64::MAX);
        assert_eq!(bytes, 2 * done.unwrap().raw_bytes);
        assert!(calls > 3);
    }
    counts(1_f32);
    counts(0.5_f32);
    counts(1_u8);
}

#[test]
fn a_volume_in_the_way_is_told_before_the_scan_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let scan = || DenseScan::new(&but_for(1_f32, [0; 5]));
    store(scan(), &dataset, "a/b", &options()).unwrap();
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(1).unwrap());
    let read = |_| -> bool { panic!("the scan is read") };
    let done = convert(Box::new(scan()), &dataset, &name, &options(), &pool, &read);
    assert!(matches!(done, Err(Error::AlreadyExists { .. })), "{done:?}");
}
