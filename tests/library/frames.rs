//! Several frames read at once are the frames of the dense array, one after the other.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use crate::common::dense::{DenseScan, oracle, store, voxels};
use ndarray::{Array3, Array4, Array5, Axis, s, stack};
use proptest::prelude::*;
use voxpatch::layout::PlanOptions;
use voxpatch::{
    ChunkCache, ConvertOptions, Dataset, Dtype, Element, Error, Frame, Frames, Normalise, Padding,
    Pool, Region, Scaling, View, Volume,
};

const SHAPE: [usize; 3] = [11, 14, 17];
const SCALING: Scaling = Scaling { slope: 0.5, intercept: -3.25 };

struct Stored {
    _folder: tempfile::TempDir,
    volume: Volume,
    dense: Array5<i16>,
}

/// A volume of so many time points and channels, no two frames of which are alike.
fn stored(times: usize, channels: usize, codec: &str, chunk: [usize; 3]) -> Stored {
    let dense = voxels::<i16>([times, channels, SHAPE[0], SHAPE[1], SHAPE[2]], 5);
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let mut scan = DenseScan::new(&dense);
    scan.header_mut().scaling = Some(SCALING);
    let (chunk, shard) = (Some(chunk), Some(chunk.map(|n| 2 * n)));
    let plan = PlanOptions::default().codec(codec.parse().unwrap()).chunk(chunk).shard(shard);
    let options = ConvertOptions::default().plan(plan);
    store(scan, &dataset, "a/b", &options).unwrap();
    Stored { volume: dataset.volume("a/b").unwrap(), _folder: folder, dense }
}

/// The dense frames that are meant, in the order of a patch's channels.
fn dense_frames(dense: &Array5<i16>, frames: Frames) -> Vec<Array3<i16>> {
    let times = match frames {
        Frames::OnlyTime => 0..1,
        Frames::Time(time) => time..time + 1,
        Frames::All => 0..dense.len_of(Axis(0)),
    };
    let channels = dense.len_of(Axis(1));
    times
        .flat_map(|t| (0..channels).map(move |c| (t, c)))
        .map(|(t, c)| dense.slice(s![t, c, .., .., ..]).to_owned())
        .collect()
}

/// What is done to the voxels.
#[derive(Debug, Clone, Copy)]
enum Change {
    None,
    Scaled,
    Normalised,
    Converted,
}

const NORMALISE: Normalise = Normalise { clip: Some((-2.0, 30.0)), mean: 4.0, std: 0.5 };

impl Change {
    fn view(self, volume: &Volume) -> View {
        match self {
            Self::None => volume.view(),
            Self::Scaled => volume.view().scaled(),
            Self::Normalised => volume.view().normalised(NORMALISE).unwrap(),
            Self::Converted => volume.view().converted(Dtype::Float64),
        }
    }

    fn of<T: Element>(self, voxel: i16) -> T {
        let real = f64::from(voxel) * SCALING.slope + SCALING.intercept;
        T::from_f64(match self {
            Self::None | Self::Converted => f64::from(voxel),
            Self::Scaled => real,
            Self::Normalised => (real.clamp(-2.0, 30.0) - 4.0) / 0.5,
        })
    }
}

/// Each frame changed as a whole, then padded, cut and mirrored; then one behind the other.
fn expected<T: Element>(
    frames: &[Array3<i16>],
    change: Change,
    padding: Padding,
    flips: [bool; 3],
    region: Region,
) -> Array4<T> {
    let patch = |frame: &Array3<i16>| {
        let mut patch = oracle(&frame.mapv(|v| change.of::<T>(v)), region, padding);
        (0..3).filter(|axis| flips[*axis]).for_each(|axis| patch.invert_axis(Axis(axis)));
        patch
    };
    let patches: Vec<_> = frames.iter().map(patch).collect();
    let views: Vec<_> = patches.iter().map(|patch| patch.view()).collect();
    stack(Axis(0), &views).unwrap()
}

/// Reads in every way there is.
fn check<T: Element>(
    view: &View,
    frames: Frames,
    regions: &[Region],
    expected: impl Fn(Region) -> Array4<T>,
) {
    let view = view.frames(frames).unwrap();
    let one = view.read_many::<T>(regions, &Pool::new(1).unwrap()).unwrap();
    let three = view.read_many::<T>(regions, &Pool::new(3).unwrap()).unwrap();
    assert!(one.is_standard_layout() && one == three);
    for (patch, region) in one.outer_iter().zip(regions) {
        let expected = expected(*region);
        assert_eq!(patch, expected, "{frames} of {region}");
        assert_eq!(view.read::<T>(*region).unwrap(), expected);
        let mut buffer = vec![T::default(); expected.len()];
        view.read_into(*region, &mut buffer).unwrap();
        assert!(buffer.iter().eq(&expected));
    }
}

fn regions() -> impl Strategy<Value = Vec<Region>> {
    let start = |n: usize| -2 * n as i64..2 * n as i64;
    let far = (start(SHAPE[0]), start(SHAPE[1]), start(SHAPE[2]));
    let starts = prop_oneof![3 => (0..6_i64, 0..8_i64, 0..9_i64), 1 => far];
    ((1..14_usize, 1..16_usize, 1..20_usize), prop::collection::vec(starts, 1..5)).prop_map(
        |((d, h, w), starts)| {
            starts.into_iter().map(|(z, y, x)| Region::new([z, y, x], [d, h, w])).collect()
        },
    )
}

type Looks = (Change, Padding, [bool; 3]);

fn views() -> impl Strategy<Value = Looks> {
    let change = prop::sample::select(vec![
        Change::None,
        Change::Scaled,
        Change::Normalised,
        Change::Converted,
    ]);
    let padding = prop::sample::select(vec![
        Padding::Constant(7.0),
        Padding::Edge,
        Padding::Reflect,
        Padding::Symmetric,
        Padding::Wrap,
    ]);
    (change, padding, any::<[bool; 3]>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn all_frames_at_once_are_the_dense_frames_in_any_view_and_for_any_number_of_threads(
        (times, channels) in prop::sample::select(vec![(3, 1), (1, 4), (2, 3), (1, 1)]),
        codec in prop::sample::select(vec!["blosc", "zstd:1", "packed", "none"]),
        chunk in (1..7_usize, 2..9_usize, 3..12_usize),
        time in 0..3_usize,
        reads in prop::collection::vec((views(), regions()), 3),
    ) {
        let Stored { volume, dense, _folder } =
            stored(times, channels, codec, [chunk.0, chunk.1, chunk.2]);
        let cache = ChunkCache::new(5000);
        for ((change, padding, flips), regions) in reads {
            let mut choices = vec![Frames::All, Frames::Time(time % times)];
            choices.extend((times == 1).then_some(Frames::OnlyTime));
            let view = change.view(&volume).padded(padding).flipped(flips);
            for frames in choices {
                let dense = dense_frames(&dense, frames);
                for view in [&view, &view.cached(&cache)] {
                    match change {
                        Change::None => check::<i16>(view, frames, &regions, |region| {
                            expected(&dense, change, padding, flips, region)
                        }),
                        Change::Converted => check::<f64>(view, frames, &regions, |region| {
                            expected(&dense, change, padding, flips, region)
                        }),
                        _ => check::<f32>(view, frames, &regions, |region| {
                            expected(&dense, change, padding, flips, region)
                        }),
                    }
                }
            }
        }
    }
}

#[test]
fn each_chunk_of_each_frame_is_decoded_once_for_a_batch() {
    let Stored { volume, _folder, .. } = stored(2, 2, "zstd:1", [4, 5, 6]);
    // Four patches that all meet in the same 2 x 2 x 2 chunks.
    let regions: Vec<_> = (0..4).map(|n| Region::new([2, n, 3], [4, 6, 5])).collect();
    for threads in [1, 3] {
        let cache = ChunkCache::new(1 << 20);
        let pool = Pool::new(threads).unwrap();
        let all = volume.view().frames(Frames::All).unwrap();
        all.cached(&cache).read_many::<i16>(&regions, &pool).unwrap();
        let cost = all.batch_cost(&regions).unwrap();
        assert_eq!((all.channels(), cost.chunks), (4, 4 * 8));
        assert_eq!(all.cost(regions[0]).unwrap().chunks, 4 * 8);
        let counts = cache.counts();
        // A chunk of zeros is not stored, and so neither decoded nor kept.
        assert!(counts.misses <= 32 && counts.misses > 24, "{counts:?}");
    }
}

#[test]
fn the_frame_that_a_view_shows_makes_no_difference_to_several() {
    let Stored { volume, _folder, .. } = stored(2, 3, "none", [4, 5, 6]);
    let region = Region::whole(SHAPE);
    let all = volume.view().frames(Frames::All).unwrap().read::<i16>(region).unwrap();
    assert_eq!(all.dim(), (6, SHAPE[0], SHAPE[1], SHAPE[2]));
    for n in 0..6 {
        let one = volume.view().frame(Frame { time: n / 3, channel: n % 3 }).unwrap();
        assert_eq!(one.frames(Frames::All).unwrap().read::<i16>(region).unwrap(), all);
        assert_eq!(one.read::<i16>(region).unwrap(), all.index_axis(Axis(0), n));
        let back = one.frames(Frames::Time(1)).unwrap().frame(Frame::default()).unwrap();
        assert_eq!(back.read::<i16>(region).unwrap(), all.index_axis(Axis(0), 0));
    }
}

#[test]
fn what_cannot_be_read_as_several_frames_is_refused_with_what_helps() {
    let Stored { volume, _folder, .. } = stored(2, 3, "none", [4, 5, 6]);
    let (region, pool) = (Region::new([0; 3], [2, 3, 4]), Pool::new(1).unwrap());
    let refused = |frames| volume.view().frames(frames).unwrap_err().to_string();
    assert!(refused(Frames::OnlyTime).contains("take all of them as channels"));
    assert!(refused(Frames::Time(2)).contains("time point \"2\": the volume has 2"));
    assert!(volume.view().frame(Frame { time: 0, channel: 3 }).is_err());
    let all = volume.view().frames(Frames::All).unwrap();
    let mut short = vec![0_i16; 6 * 24 - 1];
    let error = all.read_into(region, &mut short).unwrap_err().to_string();
    assert!(error.contains("144 voxels in 6 frames"), "{error}");
    let error = all.read_many_into(&[region; 2], &mut short, &pool);
    assert!(error.unwrap_err().to_string().contains("288 voxels in 6 frames each"));
    assert!(matches!(all.read::<f32>(region), Err(Error::DtypeMismatch { .. })));
    let outside = Region::new([10, 0, 0], [2, 3, 4]);
    assert!(matches!(all.read::<i16>(outside), Err(Error::OutOfBounds { .. })));
    let vast = Region::new([0; 3], [1 << 20, 1 << 20, 1 << 20]);
    let padded = all.padded(Padding::Edge);
    assert!(matches!(padded.read::<i16>(vast), Err(Error::InvalidArgument { .. })));
    let one = volume.view().frames(Frames::Time(1)).unwrap();
    assert_eq!(one.read_many::<i16>(&[], &pool).unwrap().dim(), (0, 3, 0, 0, 0));
}
