//! Properties of planning: counts are exact, every plan is possible, and none of its rivals is
//! better.

// The oracle counts small numbers.
#![allow(clippy::cast_precision_loss, clippy::float_cmp)]

use proptest::prelude::*;
use voxpatch::layout::{
    Access, AxisAccess, ChunkLayout, Codec, CostModel, LayoutPlan, PatchShape, PlanOptions,
    VolumeSpec, WeightedPatch, Workload, expected_chunks_along, memory_to_write, plan,
};
use voxpatch::{Dtype, Spacing};

fn spec(shape: [usize; 3], spacing: [f64; 3], dtype: Dtype) -> VolumeSpec {
    let spacing = Spacing::new(spacing).expect("positive");
    VolumeSpec { shape, times: 1, channels: 1, spacing, dtype }
}

fn workload(patches: &[&str], access: Access) -> Workload {
    let patches = patches.iter().map(|p| p.parse().expect("a patch")).collect();
    Workload::new(patches, access).expect("a workload")
}

fn chest_ct() -> VolumeSpec {
    spec([1069, 512, 512], [0.5, 0.7, 0.7], Dtype::Int16)
}

/// Every start, by walking the rule in the documentation of [`Access`].
fn starts(volume: usize, patch: usize, access: AxisAccess) -> Vec<usize> {
    let last = volume - patch;
    match access {
        AxisAccess::Random => (0..=last).collect(),
        AxisAccess::Grid { overlap } => {
            let mut starts = vec![0];
            while starts[starts.len() - 1] < last {
                let next = starts[starts.len() - 1] + patch - overlap;
                starts.push(next.min(last));
            }
            starts
        }
    }
}

/// The average by counting the chunks of every voxel of every patch.
fn counted(volume: usize, patch: usize, chunk: usize, access: AxisAccess) -> f64 {
    let patch = patch.min(volume);
    let starts = starts(volume, patch, access);
    let touched = starts.iter().map(|s| {
        let chunks: std::collections::BTreeSet<_> = (*s..s + patch).map(|v| v / chunk).collect();
        chunks.len()
    });
    touched.sum::<usize>() as f64 / starts.len() as f64
}

fn any_access() -> impl Strategy<Value = AxisAccess> {
    prop_oneof![
        Just(AxisAccess::Random),
        (0usize..40).prop_map(|overlap| AxisAccess::Grid { overlap })
    ]
}

/// Those that store every type.
fn any_codec() -> impl Strategy<Value = Codec> {
    let names =
        ["blosc-lz4", "blosc-lz4hc", "blosc-zstd", "zstd", "gzip", "packed", "packed:0", "none"];
    prop::sample::select(names.to_vec()).prop_map(|name| name.parse().expect("a codec"))
}

/// One voxel, a few, usual, and huge.
fn any_axis() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1), 2usize..80, 80usize..1200, Just(1 << 16)]
}

fn any_dtype() -> impl Strategy<Value = Dtype> {
    prop::sample::select(Dtype::ALL.to_vec())
}

proptest! {
    #[test]
    fn the_expected_count_is_the_average_over_every_start(
        volume in 1usize..160,
        patch in 1usize..200,
        chunk in 1usize..80,
        access in any_access(),
    ) {
        let access = match access {
            // Only overlaps that the workload would let through.
            AxisAccess::Grid { overlap } => {
                AxisAccess::Grid { overlap: overlap % patch.min(volume) }
            }
            AxisAccess::Random => access,
        };
        let expected = expected_chunks_along(volume, patch, chunk, access);
        let counted = counted(volume, patch, chunk, access);
        prop_assert!((expected - counted).abs() < 1e-9, "{expected}, counted {counted}");
    }

    #[test]
    fn the_counts_of_a_patch_are_averages_over_every_box(
        volume in [1usize..12, 1usize..12, 1usize..12],
        patch in [1usize..8, 1usize..8, 1usize..8],
        chunk in [1usize..6, 1usize..6, 1usize..6],
        codec in any_codec(),
    ) {
        let cost = CostModel::new(volume, 2, codec, Access::Random).patch(patch, chunk);
        let unit = codec.decode_unit(chunk, 2);
        let of = |cell: [usize; 3]| -> f64 {
            (0..3).map(|a| counted(volume[a], patch[a], cell[a], AxisAccess::Random)).product()
        };
        prop_assert!((cost.chunks - of(chunk)).abs() < 1e-9);
        prop_assert!((cost.units - of(unit)).abs() < 1e-9);
        let decoded = of(unit) * (unit.iter().product::<usize>() * 2) as f64;
        prop_assert!((cost.bytes_decoded - decoded).abs() < 1e-6);
        let returned: usize = (0..3).map(|a| patch[a].min(volume[a])).product();
        prop_assert_eq!(cost.bytes_returned, (returned * 2) as f64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_volume_gets_a_valid_layout_that_no_rival_beats(
        shape in [any_axis(), any_axis(), any_axis()],
        patch in [1usize..300, 1usize..300, 1usize..300],
        grid in any::<bool>(),
        codec in any_codec(),
        dtype in any_dtype(),
    ) {
        let overlap = patch.map(|p| p / 2);
        let access = if grid { Access::Grid { overlap } } else { Access::Random };
        let patches = vec![WeightedPatch::new(PatchShape::Voxels(patch), 2.0).expect("valid")];
        let workload = Workload::new(patches, access).expect("valid");
        let options = PlanOptions::default().codec(codec);
        let plan = plan(&spec(shape, [1.0; 3], dtype), &workload, &options);
        if matches!(codec, Codec::Packed { .. }) && !(dtype.is_integer() && dtype.size() <= 4) {
            let refused = plan.expect_err("not a type that packed stores").to_string();
            prop_assert!(refused.contains(dtype.name()), "{refused}");
            return Ok(());
        }
        let plan = plan.expect("a plan");
        let ChunkLayout { chunk, shard, .. } = plan.layout;
        prop_assert_eq!(ChunkLayout::new(chunk, shard, codec).expect("valid"), plan.layout);
        for a in 0..3 {
            prop_assert!(chunk[a] <= shape[a]);
            prop_assert!(shard[a] <= shape[a].next_multiple_of(chunk[a]), "{plan:?}");
        }
        for rival in &plan.rivals {
            prop_assert!(rival.chunk != chunk);
            prop_assert!(plan.chosen.score <= rival.score * 1.0201, "{plan:?}");
        }
        let grid: usize = (0..3).map(|a| shape[a].div_ceil(chunk[a])).product();
        prop_assert_eq!(plan.chunks, grid as u64);
        prop_assert!(plan.patches[0].amplification >= 0.999_999);
        prop_assert!(plan.patches[0].microseconds.is_finite());
    }
}

fn planned(volume: &VolumeSpec, patches: &[&str]) -> LayoutPlan {
    let options = PlanOptions::default();
    plan(volume, &workload(patches, Access::Random), &options).expect("a plan")
}

#[test]
fn an_anisotropic_patch_gets_an_anisotropic_chunk() {
    let chunk = planned(&chest_ct(), &["16x256x256"]).layout.chunk;
    assert!(chunk[0] * 2 <= chunk[1].min(chunk[2]), "{chunk:?}");
    let chunk = planned(&chest_ct(), &["256x256x16"]).layout.chunk;
    assert!(chunk[2] * 2 <= chunk[0].max(chunk[1]), "{chunk:?}");
}

#[test]
fn millimetres_mean_fewer_planes_where_slices_are_thick() {
    let thick = spec([120, 512, 512], [5.0, 0.7, 0.7], Dtype::Int16);
    let plan = planned(&thick, &["96x96x96mm"]);
    assert_eq!(plan.patches[0].patch, [19, 137, 137]);
    let chunk = plan.layout.chunk;
    assert!(chunk[0] < chunk[1].max(chunk[2]), "{chunk:?}");
}

#[test]
fn slices_get_flat_chunks() {
    let plan = planned(&chest_ct(), &["1x512x512"]);
    assert!(plan.layout.chunk[0] <= 2, "{:?}", plan.reasons);
    assert!(plan.patches[0].amplification < 1.5);
}

#[test]
fn grid_patches_without_overlap_get_chunks_that_tile_them() {
    let workload = workload(&["50x64x64"], Access::Grid { overlap: [0; 3] });
    let volume = spec([300, 512, 512], [1.0; 3], Dtype::Int16);
    let plan = plan(&volume, &workload, &PlanOptions::default()).expect("a plan");
    let chunk = plan.layout.chunk;
    assert!((0..3).all(|a| [50, 64, 64][a] % chunk[a] == 0), "{chunk:?}");
    assert!((plan.patches[0].amplification - 1.0).abs() < 1e-12);
}

#[test]
fn a_heavier_weight_pulls_the_chunk_towards_its_patch() {
    let depth = |patches: &[&str]| planned(&chest_ct(), patches).layout.chunk[0];
    let flat = depth(&["1x512x512:1000", "96x96x96:1"]);
    let deep = depth(&["1x512x512:1", "96x96x96:1000"]);
    assert!(flat < deep, "{flat} {deep}");
}

#[test]
fn shards_keep_writing_within_the_memory_aim_and_files_few() {
    let plan = planned(&chest_ct(), &["96x96x96"]);
    let ChunkLayout { chunk, shard, .. } = plan.layout;
    assert_eq!(plan.layout.shards([1069, 512, 512])[1..], [1, 1]);
    assert!(plan.memory_to_write <= 128 << 20, "{:?}", plan.reasons);
    assert!(plan.shards >= 9 && plan.shards <= 40, "{:?}", plan.reasons);
    let layers = 3 * chunk[0] as u64 * 512 * 512 * 2;
    let row = shard[0] as u64 * 512 * 512 * 2;
    assert_eq!(plan.memory_to_write, memory_to_write([1069, 512, 512], &plan.layout, 2));
    assert!(plan.memory_to_write > layers && plan.memory_to_write < layers + row);
}

#[test]
fn times_and_channels_multiply_the_files_of_large_frames_and_small_ones_share_files() {
    for (shape, files) in [([64; 3], [1, 1]), ([160, 512, 512], [2, 20]), ([128, 128, 256], [1, 2])]
    {
        let mut volume = spec(shape, [1.0; 3], Dtype::UInt8);
        let one = planned(&volume, &["32x32x32"]);
        (volume.times, volume.channels) = (5, 2);
        let ten = planned(&volume, &["32x32x32"]);
        assert_eq!([one.shards, ten.shards], files, "{:?}", ten.reasons);
        assert_eq!(ten.chunks, 10 * one.chunks);
        let written = usize::pow(64, 3) as u64 * ten.layout.frames.iter().product::<usize>() as u64;
        assert!(ten.memory_to_write > written / 4 && ten.memory_to_write <= 128 << 20);
    }
}

#[test]
fn a_shard_that_is_asked_for_is_of_one_frame() {
    let volume = VolumeSpec { times: 5, ..spec([64; 3], [1.0; 3], Dtype::UInt8) };
    let options = PlanOptions::default().shard(Some([64; 3]));
    let plan = plan(&volume, &workload(&["32x32x32"], Access::Random), &options).expect("a plan");
    assert_eq!((plan.layout.frames, plan.shards), ([1, 1], 5));
}

#[test]
fn a_volume_without_end_is_planned_and_one_beyond_64_bits_is_refused() {
    let plan = planned(&spec([1 << 20; 3], [0.01; 3], Dtype::UInt8), &["128x128x128"]);
    assert!(plan.shards > 1 && plan.memory_to_write > 1 << 40);
    let options = PlanOptions::default();
    for shape in [[usize::MAX; 3], [1, 0, 1]] {
        let volume = spec(shape, [1.0; 3], Dtype::Int16);
        assert!(
            voxpatch::layout::plan(&volume, &workload(&["8x8x8"], Access::Random), &options)
                .is_err()
        );
    }
    let line = planned(&spec([1, 1, 1 << 40], [1.0; 3], Dtype::Float64), &["1x1x4096"]);
    assert_eq!(line.layout.chunk[..2], [1, 1]);
}

#[test]
fn what_is_given_is_kept() {
    let volume = chest_ct();
    let workload = workload(&["96x96x96"], Access::Random);
    let with = |chunk, shard| {
        let options = PlanOptions::default().codec(Codec::None).chunk(chunk).shard(shard);
        plan(&volume, &workload, &options)
    };
    let (chunk, shard) = ([20, 40, 50], [100, 200, 300]);
    let both = with(Some(chunk), Some(shard)).expect("a plan");
    assert_eq!((both.layout.chunk, both.layout.shard), (chunk, shard));
    assert_eq!(both.chosen.role, "given");
    assert_eq!(with(Some(chunk), None).expect("a plan").layout.chunk, chunk);
    let plan = with(None, Some(shard)).expect("a plan");
    assert_eq!(plan.layout.shard, shard);
    assert!((0..3).all(|a| shard[a] % plan.layout.chunk[a] == 0));
    assert!(with(Some([2048; 3]), None).is_err());

    let refused = |chunk, shard| with(chunk, shard).expect_err("refused").to_string();
    assert!(refused(Some([3, 3, 3]), Some([4, 6, 6])).contains("multiple of 3"));
    assert!(refused(Some([0, 3, 3]), None).contains("at least 1"));
    assert!(refused(None, Some([0, 3, 3])).contains("at least 1"));
    assert!(refused(None, Some([usize::MAX; 3])).contains("shard"));
}

#[test]
fn a_chunk_of_one_voxel_or_beyond_the_volume_is_kept_too() {
    let workload = workload(&["96x96x96"], Access::Random);
    for chunk in [[1; 3], [32, 700, 700]] {
        let options = PlanOptions::default().chunk(Some(chunk));
        let plan = plan(&chest_ct(), &workload, &options).expect("a plan");
        assert_eq!(plan.layout.chunk, chunk);
    }
}

#[test]
fn a_plan_says_why_and_shows_a_cube_and_the_patch_beside_its_choice() {
    let plan = planned(&chest_ct(), &["40x160x160"]);
    let roles: Vec<_> = plan.rivals.iter().map(|r| r.role).collect();
    for role in ["runner-up", "cube", "patch-shaped"] {
        assert!(roles.contains(&role), "{roles:?}");
    }
    let words = plan.reasons.join("\n");
    for part in ["chunks of", "shards of", "µs", "memory"] {
        assert!(words.contains(part), "{words}");
    }
    assert!(serde_json::to_string(&plan).expect("plain data").contains("amplification"));
}

#[test]
fn a_codec_that_cannot_store_the_voxels_is_refused_with_what_can() {
    let workload = workload(&["9x9x9"], Access::Random);
    for dtype in Dtype::ALL {
        for codec in Codec::CANDIDATES {
            let options = PlanOptions::default().codec(codec);
            let planned = plan(&spec([9; 3], [1.0; 3], dtype), &workload, &options);
            if codec.is_standard() || dtype.is_integer() && dtype.size() < 8 {
                planned.expect("a plan");
                continue;
            }
            let refused = planned.expect_err("refused").to_string();
            for part in [&*codec.to_string(), dtype.name(), "blosc-zstd", "zstd", "narrow"] {
                assert!(refused.contains(part), "{refused}");
            }
        }
    }
}
