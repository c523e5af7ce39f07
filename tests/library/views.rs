//! Whatever view of a volume is read, it is the slice of the dense array, computed on.
#![allow(
    clippy::float_cmp,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use crate::common::dense::{DenseScan, oracle, store, voxels};
use ndarray::{Array3, Array5, Axis, s};
use proptest::prelude::*;
use voxpatch::layout::PlanOptions;
use voxpatch::{
    ConvertOptions, Dataset, Dtype, Element, Error, Frame, Normalise, Padding, Region, Scaling,
    View, Volume, with_element,
};

pub const SHAPE: [usize; 3] = [11, 14, 37];
pub const FRAMES: usize = 2;

pub struct Stored<T> {
    _folder: tempfile::TempDir,
    pub volume: Volume,
    pub dense: Array5<T>,
}

fn stored_as<T: Element>(
    dense: Array5<T>,
    options: &ConvertOptions,
    scaling: Option<Scaling>,
    is_label: bool,
) -> Stored<T> {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let mut scan = DenseScan::new(&dense);
    scan.header_mut().scaling = scaling;
    scan.header_mut().is_label = is_label;
    store(scan, &dataset, "a/b", options).unwrap();
    let volume = dataset.volume("a/b").unwrap();
    Stored { _folder: folder, volume, dense }
}

pub fn stored<T: Element>(codec: &str, scaling: Scaling) -> Stored<T> {
    let dense = voxels::<T>([FRAMES, 1, SHAPE[0], SHAPE[1], SHAPE[2]], 5);
    let (chunk, shard) = (Some([4, 5, 16]), Some([8, 10, 32]));
    let plan = PlanOptions::default().codec(codec.parse().unwrap()).chunk(chunk).shard(shard);
    let narrow = !T::DTYPE.is_integer() && codec == "packed";
    let options = ConvertOptions::default().plan(plan).narrow(narrow);
    stored_as(dense, &options, Some(scaling), false)
}

/// What is done to the voxels.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    None,
    Scaled,
    Normalised(Normalise),
    Converted(Dtype),
}

#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub change: Change,
    pub flips: [bool; 3],
    pub padding: Padding,
    pub frame: usize,
}

pub fn looks() -> impl Strategy<Value = Look> {
    let clip = prop::option::of((-20..20_i32, 0..40_i32));
    let change = prop_oneof![
        Just(Change::None),
        Just(Change::Scaled),
        (clip, -9..9_i32, 1..20_i32).prop_map(|(clip, mean, std)| {
            let clip = clip.map(|(low, n)| (f64::from(low), f64::from(low + n)));
            let (mean, std) = (f64::from(mean), f64::from(std) / 4.0);
            Change::Normalised(Normalise { clip, mean, std })
        }),
        prop::sample::select(Dtype::ALL.to_vec()).prop_map(Change::Converted),
    ];
    let padding = prop_oneof![
        (-5i32..300).prop_map(|v| Padding::Constant(v.into())),
        Just(Padding::Edge),
        Just(Padding::Reflect),
        Just(Padding::Symmetric),
        Just(Padding::Wrap),
    ];
    (change, any::<[bool; 3]>(), padding, 0..FRAMES)
        .prop_map(|(change, flips, padding, frame)| Look { change, flips, padding, frame })
}

pub fn regions() -> impl Strategy<Value = Region> {
    let axis = |n: usize| prop_oneof![(-(n as i64)..2 * n as i64, 1..2 * n), Just((0, n))];
    (axis(SHAPE[0]), axis(SHAPE[1]), axis(SHAPE[2]))
        .prop_map(|((z, d), (y, h), (x, w))| Region::new([z, y, x], [d, h, w]))
}

/// The dense frame changed as a whole, then padded, cut and mirrored: nothing is fused.
pub fn expected<S: Element, D: Element>(
    dense: &Array3<S>,
    scaling: Scaling,
    look: Look,
    region: Region,
) -> Array3<D> {
    let real = |v: S| v.to_f64() * scaling.slope + scaling.intercept;
    let changed = dense.mapv(|v| match look.change {
        Change::None | Change::Converted(_) => D::from_f64(v.to_f64()),
        Change::Scaled => D::from_f64(real(v)),
        Change::Normalised(Normalise { clip, mean, std }) => {
            let (low, high) = clip.unwrap_or((f64::MIN, f64::MAX));
            D::from_f64((real(v).clamp(low, high) - mean) / std)
        }
    });
    let mut patch = oracle(&changed, region, look.padding);
    for (axis, flip) in look.flips.into_iter().enumerate() {
        if flip {
            patch.invert_axis(Axis(axis));
        }
    }
    patch.as_standard_layout().into_owned()
}

/// Whether a small whole number comes back from the type.
pub fn is_held<D: Element>(padding: Padding) -> bool {
    !matches!(padding, Padding::Constant(value) if D::from_f64(value).to_f64() != value)
}

/// The view of one frame that is meant.
pub fn view(volume: &Volume, look: Look) -> View {
    let frame = volume.view().frame(Frame { time: look.frame, channel: 0 }).unwrap();
    let view = match look.change {
        Change::None => frame,
        Change::Scaled => frame.scaled(),
        Change::Normalised(normalise) => frame.normalised(normalise).unwrap(),
        Change::Converted(dtype) => frame.converted(dtype),
    };
    view.padded(look.padding).flipped(look.flips)
}

fn check<S: Element>(stored: &Stored<S>, scaling: Scaling, look: Look, region: Region) {
    let view = view(&stored.volume, look);
    let dense = stored.dense.slice(s![look.frame, 0, .., .., ..]).to_owned();
    with_element!(view.returned_dtype(), D => {
        let found = view.read::<D>(region);
        if !is_held::<D>(look.padding) {
            assert!(matches!(found, Err(Error::InvalidArgument { what: "padding", .. })));
            return;
        }
        let found = found.unwrap();
        assert_eq!(found, expected::<S, D>(&dense, scaling, look, region), "{look:?} {region}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_view_of_any_type_and_codec_is_the_dense_array_computed_on(
        dtype in prop::sample::select(Dtype::ALL.to_vec()),
        codec in prop::sample::select(vec!["blosc", "blosc-zstd:1", "zstd:1", "gzip:1", "packed", "none"]),
        slope in prop_oneof![Just(0.5), Just(-2.0)],
        reads in prop::collection::vec((looks(), regions()), 12),
    ) {
        let unpacked = matches!(dtype, Dtype::UInt64 | Dtype::Int64 | Dtype::Float16);
        let codec = if unpacked && codec == "packed" { "blosc" } else { codec };
        let scaling = Scaling { slope, intercept: -3.25 };
        with_element!(dtype, S => {
            let stored = stored::<S>(codec, scaling);
            for (look, region) in reads {
                check(&stored, scaling, look, region);
            }
        });
    }
}

#[test]
fn twice_mirrored_is_not_mirrored_and_views_of_values_replace_each_other() {
    let stored = stored::<i16>("packed:1", Scaling { slope: 2.0, intercept: 0.0 });
    let region = Region::new([1, 2, 3], [7, 8, 30]);
    let plain = stored.volume.read::<i16>(region).unwrap();
    let twice = stored.volume.view().flipped([true, false, true]).flipped([true, false, true]);
    assert_eq!(twice.read::<i16>(region).unwrap(), plain);
    let last = stored.volume.view().scaled().converted(Dtype::Float64);
    assert_eq!(last.read::<f64>(region).unwrap(), plain.mapv(f64::from));
    let last = last.scaled();
    assert_eq!(last.read::<f32>(region).unwrap(), plain.mapv(|v| 2.0 * f32::from(v)));
}

#[test]
fn integers_that_do_not_fit_become_the_nearest_that_do() {
    let dense = Array5::from_shape_vec(
        (1, 1, 1, 2, 4),
        vec![i64::MIN, -129, -1, 0, 255, 256, (1 << 53) + 1, i64::MAX],
    );
    let stored = stored_as(dense.unwrap(), &ConvertOptions::default(), None, true);
    let read = |dtype| stored.volume.view().converted(dtype);
    let whole = Region::whole([1, 2, 4]);
    let bytes = read(Dtype::UInt8).read::<u8>(whole).unwrap();
    assert_eq!(bytes.into_raw_vec_and_offset().0, [0, 0, 0, 0, 255, 255, 255, 255]);
    let signed = read(Dtype::Int8).read::<i8>(whole).unwrap();
    assert_eq!(signed.into_raw_vec_and_offset().0, [-128, -128, -1, 0, 127, 127, 127, 127]);
    let words = read(Dtype::UInt64).read::<u64>(whole).unwrap();
    let most = i64::MAX as u64;
    assert_eq!(words.into_raw_vec_and_offset().0, [0, 0, 0, 0, 255, 256, (1 << 53) + 1, most]);
}

#[test]
fn normalisations_from_the_statistics_are_those_of_numpy() {
    for slope in [0.5, -2.0] {
        let scaling = Scaling { slope, intercept: 7.0 };
        let dense = voxels::<i16>([1, 1, SHAPE[0], SHAPE[1], SHAPE[2]], 3);
        let stored = stored_as(dense, &ConvertOptions::default(), Some(scaling), false);
        let volume = &stored.volume;
        let mut real: Vec<f64> = stored.dense.iter().map(|v| f64::from(*v) * slope + 7.0).collect();
        let n = real.len() as f64;
        let mean = real.iter().sum::<f64>() / n;
        let std = (real.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        real.sort_by(f64::total_cmp);
        let percentile = |p: f64| {
            let rank = p / 100.0 * (n - 1.0);
            let (low, part) = (rank.floor() as usize, rank.fract());
            real[low] * (1.0 - part) + real[(low + 1).min(real.len() - 1)] * part
        };
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b.abs());
        let z = volume.z_score().unwrap();
        assert!(z.clip.is_none() && near(z.mean, mean) && near(z.std, std), "{z:?}");
        let ct = volume.clipped_z_score(0.5, 99.5).unwrap();
        let (low, high) = ct.clip.unwrap();
        assert_eq!((ct.mean, ct.std), (z.mean, z.std));
        assert!(near(low, percentile(0.5)) && near(high, percentile(99.5)), "{ct:?}");
        let range = volume.percentile_range(2.0, 90.0).unwrap();
        let patch = volume.view().normalised(range).unwrap();
        let patch = patch.read::<f32>(Region::whole(SHAPE)).unwrap();
        assert!(patch.iter().all(|v| (0.0..=1.0).contains(v)));
        assert!(patch.iter().any(|v| *v == 0.0) && patch.iter().any(|v| (*v - 1.0).abs() < 1e-6));
    }
}

#[test]
fn what_cannot_be_normalised_is_refused_with_the_reason() {
    let shape = (1, 1, 2, 3, 4);
    let of = |dense: Array5<f32>, is_label| {
        stored_as(dense, &ConvertOptions::default(), None, is_label).volume
    };
    let refused = |result: Result<Normalise, Error>| match result {
        Err(error @ Error::InvalidArgument { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let constant = of(Array5::from_elem(shape, 3.0), false);
    assert!(refused(constant.z_score()).contains("deviation"));
    assert!(refused(constant.percentile_range(1.0, 99.0)).contains("deviation"));
    let nothing = of(Array5::from_elem(shape, f32::NAN), false);
    assert!(refused(nothing.z_score()).contains("finite"));
    let labels = stored_as(Array5::from_elem(shape, 3_u8), &ConvertOptions::default(), None, true);
    assert!(refused(labels.volume.clipped_z_score(0.5, 99.5)).contains("labels"));
    let range = Normalise::range(-1000.0, 400.0).unwrap();
    assert!(
        labels.volume.view().normalised(range).is_err()
            && constant.view().normalised(range).is_ok()
    );
    for (low, high) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        refused(Normalise::range(low, high));
    }
    for (low, high) in [(-1.0, 50.0), (50.0, 101.0), (f64::NAN, 50.0)] {
        refused(constant.clipped_z_score(low, high));
    }
    for std in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(constant.view().normalised(Normalise { clip: None, mean: 0.0, std }).is_err());
    }
}
