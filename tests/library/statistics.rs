//! Statistics agree with a naive count over all voxels, however these were divided.

// The oracle works on small numbers, and compares extremes exactly.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use voxpatch::statistics::{
    IntensityStatistics, LabelStatistics, Statistics, StatisticsAccumulator,
};
use voxpatch::{Dtype, Element, Kind, f16, with_element};

fn bytes<T: Element>(voxels: &[T]) -> Vec<u8> {
    voxels.iter().flat_map(|v| bytemuck::bytes_of(v).to_vec()).collect()
}

/// Counts `parts`, each in an accumulator of its own, and merges these in the given order.
fn gather(dtype: Dtype, kind: Kind, parts: &[&[u8]]) -> voxpatch::Result<Statistics> {
    let mut all = StatisticsAccumulator::new(dtype, kind);
    for part in parts {
        let mut one = StatisticsAccumulator::new(dtype, kind);
        let (a, b) = part.split_at(part.len() / 2 / dtype.size() * dtype.size());
        one.add(a)?;
        one.add(b)?;
        all.merge(one)?;
    }
    Ok(all.finish())
}

fn intensity(statistics: Statistics) -> IntensityStatistics {
    match statistics {
        Statistics::Intensity(intensity) => intensity,
        Statistics::Label(_) => panic!("asked for intensity"),
    }
}

fn label(statistics: Statistics) -> LabelStatistics {
    match statistics {
        Statistics::Label(label) => label,
        Statistics::Intensity(_) => panic!("asked for labels"),
    }
}

fn measure<T: Element>(voxels: &[T]) -> IntensityStatistics {
    intensity(gather(T::DTYPE, Kind::Intensity, &[&bytes(voxels)]).expect("counts"))
}

/// `numpy.percentile` with its default method.
fn percentile(sorted: &[f64], p: f64) -> f64 {
    let rank = p / 100.0 * (sorted.len() - 1) as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (rank - below as f64)
}

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-9 * scale.max(1e-300)
}

/// Checks everything against the sorted finite voxels.
fn check(found: &IntensityStatistics, finite: &[f64]) -> Result<(), TestCaseError> {
    let mut sorted = finite.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    prop_assert_eq!(found.voxels, sorted.len() as u64);
    prop_assert_eq!(found.bins.iter().map(|b| b.count).sum::<u64>(), found.voxels);
    prop_assert!(found.bins.len() <= 1024);
    prop_assert!(found.bins.windows(2).all(|w| w[0].high < w[1].low));
    let Some(moments) = found.moments else {
        prop_assert!(sorted.is_empty() && found.percentile(50.0).is_none());
        return Ok(());
    };
    let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
    prop_assert!(moments.min == min && moments.max == max);
    let n = sorted.len() as f64;
    let mean = sorted.iter().map(|v| v / n).sum::<f64>();
    let scale = min.abs().max(max.abs());
    prop_assert!(close(moments.mean, mean, scale), "{} {mean}", moments.mean);
    // In units of the largest voxel, whose square might be too large.
    let unit = scale.max(1e-300);
    let variance = sorted.iter().map(|v| ((v - mean) / unit).powi(2) / n).sum::<f64>();
    let std = variance.sqrt() * unit;
    // Where sums of squares would not fit 128 bits, it is that of the middles of the bins, which
    // are at most half a bin from their voxels.
    let is_wide = n * (max - min + 2.0).powi(2) > 2_f64.powi(127);
    let widest = found.bins.iter().map(|b| b.high - b.low).fold(0.0, f64::max);
    let tolerance = 1e-6 * scale + if is_wide { widest / 2.0 } else { 0.0 };
    prop_assert!((moments.std - std).abs() <= tolerance, "{} {std}", moments.std);
    for bin in &found.bins {
        let inside = sorted.iter().filter(|v| (bin.low..=bin.high).contains(*v)).count();
        prop_assert_eq!(inside as u64, bin.count);
    }
    for p in [0.0, 0.5, 5.0, 37.3, 50.0, 95.0, 99.5, 100.0] {
        let (value, exact) = (found.percentile(p).expect("voxels"), percentile(&sorted, p));
        let width = found.bins.iter().map(|b| b.high - b.low).fold(0.0, f64::max);
        prop_assert!((value - exact).abs() <= width + 1e-9 * scale, "{p} %: {value}, {exact}");
    }
    Ok(())
}

/// Random bits, and small numbers as real voxels are.
fn any_voxels() -> impl Strategy<Value = Vec<u64>> {
    let small = -300_i64..3000;
    let any = prop_oneof![any::<u64>(), small.prop_map(i64::cast_unsigned)];
    prop::collection::vec(any, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn integers_of_every_type_agree_with_a_naive_count_in_every_order(
        dtype in prop::sample::select(Dtype::ALL.to_vec()),
        voxels in any_voxels(),
        cuts in [0usize..400, 0usize..400],
    ) {
        prop_assume!(dtype.is_integer());
        // The first bytes of each number: small numbers stay so where tests run on little-endian.
        let raw: Vec<u8> =
            voxels.iter().flat_map(|v| v.to_ne_bytes()[..dtype.size()].to_vec()).collect();
        let values: Vec<f64> = with_element!(dtype, T => {
            raw.chunks_exact(dtype.size())
                .map(|v| bytemuck::pod_read_unaligned::<T>(v).to_f64()).collect()
        });
        let mut cuts = cuts.map(|c| c.min(voxels.len()) * dtype.size());
        cuts.sort_unstable();
        let (a, rest) = raw.split_at(cuts[0]);
        let (b, c) = rest.split_at(cuts[1] - cuts[0]);
        let found = gather(dtype, Kind::Intensity, &[a, b, c]).expect("counts");
        prop_assert_eq!(&found, &gather(dtype, Kind::Intensity, &[c, a, b]).expect("counts"));
        prop_assert_eq!(&found, &gather(dtype, Kind::Intensity, &[&raw]).expect("counts"));
        check(&intensity(found), &values)?;
    }

    #[test]
    fn floats_agree_with_a_naive_count_and_leave_out_what_is_not_finite(
        bits in prop::collection::vec(any::<f32>(), 0..400),
        near in prop::collection::vec(-1000.0f32..3000.0, 0..400),
    ) {
        for voxels in [&bits, &near] {
            let finite: Vec<f64> =
                voxels.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).collect();
            let found = measure(voxels);
            prop_assert_eq!(found.non_finite as usize, voxels.len() - finite.len());
            check(&found, &finite)?;
        }
    }

    #[test]
    fn floats_of_16_bits_agree_with_a_naive_count_in_every_order(
        bits in prop::collection::vec(any::<u16>(), 0..400),
        near in prop::collection::vec(-1000.0f64..3000.0, 0..400),
        tiny in prop::collection::vec(-9i16..9, 0..400),
        cut in 0usize..400,
    ) {
        let bits = bits.into_iter().map(f16::from_bits).collect();
        let near = near.into_iter().map(<f16 as Element>::from_f64).collect();
        // Around both zeros, and subnormal.
        let tiny = tiny.into_iter().map(|n| f16::from_bits(n.unsigned_abs() | (n as u16 & 0x8000)));
        let voxels: [Vec<f16>; 3] = [bits, near, tiny.collect()];
        for voxels in &voxels {
            let finite: Vec<f64> =
                voxels.iter().filter(|v| v.is_finite()).map(|v| v.to_f64() + 0.0).collect();
            let raw = bytes(voxels);
            let (a, b) = raw.split_at(cut.min(voxels.len()) * 2);
            let found = gather(Dtype::Float16, Kind::Intensity, &[a, b]).expect("counts");
            let other = gather(Dtype::Float16, Kind::Weights, &[b, a]).expect("counts");
            prop_assert_eq!(&found, &other);
            let found = intensity(found);
            prop_assert_eq!(found.non_finite as usize, voxels.len() - finite.len());
            check(&found, &finite)?;
            // As if they had been wider.
            let wide = measure(&voxels.iter().map(|v| v.to_f32()).collect::<Vec<_>>());
            prop_assert_eq!(found.voxels, wide.voxels);
            let ends = |s: &IntensityStatistics| s.moments.map(|m| (m.min, m.max));
            prop_assert_eq!(ends(&found), ends(&wide));
        }
    }

    #[test]
    fn labels_are_counted_exactly_in_every_type_that_can_hold_them(
        labels in prop::collection::vec(0u8..=100, 0..300),
        cut in 0usize..300,
    ) {
        let mut naive = BTreeMap::new();
        for label in &labels {
            *naive.entry(i128::from(*label)).or_insert(0_u64) += 1;
        }
        for dtype in Dtype::ALL {
            let raw = with_element!(dtype, T => {
                bytes(&labels.iter().map(|l| T::from_f64(f64::from(*l))).collect::<Vec<_>>())
            });
            let (a, b) = raw.split_at(cut.min(labels.len()) * dtype.size());
            let found = label(gather(dtype, Kind::Label, &[b, a]).expect("labels"));
            let counted: BTreeMap<_, _> =
                found.labels.iter().map(|l| (l.label, l.voxels)).collect();
            prop_assert_eq!(&counted, &naive);
            prop_assert!(found.labels.is_sorted_by_key(|l| l.label));
            prop_assert_eq!(found.voxels, labels.len() as u64);
        }
    }
}

#[test]
fn percentiles_are_exact_while_every_value_has_its_own_bin() {
    let voxels: Vec<i16> = (0..10_000_i32).map(|i| (i * i % 1000) as i16 - 500).collect();
    let mut sorted: Vec<f64> = voxels.iter().map(|v| f64::from(*v)).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let found = measure(&voxels);
    for p in 0..=1000 {
        let p = f64::from(p) / 10.0;
        let (value, exact) = (found.percentile(p).expect("voxels"), percentile(&sorted, p));
        assert!((value - exact).abs() < 1e-9, "{p} %: {value}, {exact}");
    }
    assert_eq!(found.percentile(f64::NAN), None);
    assert_eq!(found.percentile(-5.0), found.percentile(0.0));
}

#[test]
fn more_values_than_bins_still_give_the_counts_of_the_voxels() {
    // Low-quality random numbers: skewed, most of them distinct.
    let noise = (0..12_000_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
    let squares: Vec<f32> = noise.map(|v| (v as f32 / 1e4).powi(2) - 1000.0).collect();
    let words: Vec<u16> = squares.iter().map(|v| (v / 50.0).abs() as u16).collect();
    let found = measure(&squares);
    // Values far apart take more room, so that there are fewer bins.
    assert!(found.bins.len() > 500);
    check(&found, &squares.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()).expect("agrees");
    let found = measure(&words);
    assert!(found.bins.len() > 900);
    check(&found, &words.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()).expect("agrees");
}

/// What a document has of them.
fn text(found: IntensityStatistics) -> String {
    let found = Statistics::Intensity(found);
    let text = serde_json::to_string(&found).expect("plain data");
    assert_eq!(serde_json::from_str::<Statistics>(&text).expect("own text"), found);
    text
}

/// Sums of a few uniform numbers, which are nearly normal: mean 0, deviation 1.
fn normal(n: u64) -> f64 {
    let mut bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03;
    let mut sum = -6.0;
    for _ in 0..12 {
        bits ^= bits >> 29;
        bits = bits.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits ^= bits >> 32;
        sum += (bits >> 11) as f64 / (1_u64 << 53) as f64;
    }
    sum
}

/// Percentiles beside those of the sorted voxels: within the bin, so within `share` of all voxels or
/// 2^-10 of the value; and the text within 10.4 kB.
fn check_percentiles<T: Element>(name: &str, voxels: &[T], share: f64) {
    let found = measure(voxels);
    let mut sorted: Vec<f64> = voxels.iter().map(|v| v.to_f64()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    for n in 0..=2000 {
        let p = f64::from(n) / 20.0;
        let (value, exact) = (found.percentile(p).expect("voxels"), percentile(&sorted, p));
        let around = |off: f64| percentile(&sorted, (p + off).clamp(0.0, 100.0));
        let one = 100.0 / sorted.len() as f64;
        // The oracle rounds otherwise.
        let rounded = 1e-12 * exact.abs();
        let range = around(-share - one) - rounded..=around(share + one) + rounded;
        let is_near = range.contains(&value);
        let is_close = (value - exact).abs() <= exact.abs().max(value.abs()) / 1024.0;
        let wide = T::DTYPE.size() > 2;
        assert!(is_near || (wide && is_close), "{name}: {p} % is {exact}, not {value}");
        if n == 0 || n == 2000 {
            assert_eq!(value, exact, "{name}");
        }
    }
    let length = text(found).len();
    assert!(length <= 10_400, "{name}: {length} bytes");
}

#[test]
fn percentiles_are_as_exact_as_they_are_said_to_be_and_take_little() {
    let noise = || (0..200_000_u64).map(normal);
    // Air, lung, soft tissue and bone.
    let tissue = |n: usize| [-1000.0, -850.0, 40.0, 950.0][n % 7 % 4] + 25.0 * (n % 3) as f64;
    let ct = || noise().enumerate().map(|(n, x)| tissue(n) + 20.0 * x);
    let tail = || noise().map(|x| (2.5 * x).exp() * 100.0);
    check_percentiles("int16 CT", &ct().map(|v| v as i16).collect::<Vec<_>>(), 0.2);
    check_percentiles("uint8", &noise().map(|x| (x * 40.0 + 99.0) as u8).collect::<Vec<_>>(), 0.2);
    check_percentiles("uint16", &tail().map(|v| v as u16).collect::<Vec<_>>(), 0.2);
    check_percentiles("float16", &ct().map(<f16 as Element>::from_f64).collect::<Vec<_>>(), 0.2);
    check_percentiles("float32 CT", &ct().map(|v| v as f32).collect::<Vec<_>>(), 0.6);
    check_percentiles("float32 tails", &tail().map(|v| v as f32).collect::<Vec<_>>(), 0.6);
    check_percentiles("float64 tails", &tail().collect::<Vec<_>>(), 0.6);
    let cubes = noise().map(|x| x.powi(9) * 1e200);
    check_percentiles("float64, both signs", &cubes.collect::<Vec<_>>(), 0.6);
    let any = (1..200_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    check_percentiles("int64 of any bits", &any.map(u64::cast_signed).collect::<Vec<_>>(), 0.6);
    check_percentiles("a constant", &[-7.25_f32; 999], 0.0);
    let two: Vec<f64> = (0..999).map(|n| if n % 5 == 0 { 0.1 } else { 1e9 }).collect();
    check_percentiles("two values", &two, 0.0);
}

#[test]
fn what_earlier_versions_wrote_is_read_and_written_again_in_short() {
    let old = r#"{"intensity": {"voxels": 5, "non_finite": 1,
        "moments": {"min": -1.5, "max": 9.0, "mean": 2.5, "std": 3.0},
        "bins": [{"low": -1.5, "high": -1.5, "count": 2}, {"low": 4.0, "high": 9.0, "count": 3}]}}"#;
    let found = intensity(serde_json::from_str(old).expect("the old form"));
    assert_eq!((found.voxels, found.non_finite, found.bins.len()), (5, 1, 2));
    assert_eq!((found.percentile(0.0), found.percentile(100.0)), (Some(-1.5), Some(9.0)));
    let new = text(found);
    assert!(new.contains("histogram") && !new.contains("bins"), "{new}");
    let refused = |text: &str| serde_json::from_str::<Statistics>(text).expect_err("damaged");
    assert!(
        refused(&new.replace(r#""voxels":5"#, r#""voxels":6"#)).to_string().contains("histogram")
    );
    assert!(refused(&new.replace("histogram", "bins")).to_string().contains("expected a sequence"));
    assert!(refused(r#"{"label": {"voxels": 5}}"#).to_string().contains("labels"));
}

#[test]
fn many_labels_take_three_bytes_each_and_few_are_listed() {
    let labels = |n: u32| -> Vec<u8> { (0..n).flat_map(|label| bytes(&[label, label])).collect() };
    for (n, least, most) in [(32, 0, 1_500), (33, 0, 300), (262_144, 500_000, 1_000_000)] {
        let found = gather(Dtype::UInt32, Kind::Label, &[&labels(n)]).expect("labels");
        let text = serde_json::to_string(&found).expect("plain data");
        assert_eq!(text.contains(r#"{"label":7,"voxels":2}"#), n <= 32, "{n}");
        assert!((least..=most).contains(&text.len()), "{n} labels: {} bytes", text.len());
        assert_eq!(serde_json::from_str::<Statistics>(&text).expect("own text"), found);
    }
}

#[test]
fn a_large_offset_does_not_swallow_a_small_deviation() {
    let integers: Vec<i64> = (0..1000).map(|i| (1 << 50) + i % 2).collect();
    let floats: Vec<f64> = integers.iter().map(|v| *v as f64).collect();
    for moments in [measure(&integers).moments, measure(&floats).moments] {
        assert!((moments.expect("voxels").std - 0.5).abs() < 1e-9);
    }
}

#[test]
fn the_extremes_of_every_type_give_finite_statistics_that_survive_json() {
    let all = [
        measure(&[i64::MIN, i64::MAX, i64::MAX]),
        measure(&[0, u64::MAX, u64::MAX]),
        measure(&[f64::MIN, f64::MAX, f64::MAX, f64::INFINITY]),
        measure(&[f64::NAN]),
        measure::<f32>(&[]),
        measure(&[0.0, -0.0, f64::MIN_POSITIVE / 4.0]),
    ];
    for found in all.map(Statistics::Intensity) {
        let text = serde_json::to_string(&found).expect("plain data");
        assert_eq!(serde_json::from_str::<Statistics>(&text).expect("own text"), found, "{text}");
    }
    let labels = bytes(&[u64::MAX, 0]);
    let found = gather(Dtype::UInt64, Kind::Label, &[&labels]).expect("labels");
    let text = serde_json::to_string(&found).expect("plain data");
    assert!(text.contains("18446744073709551615"));
    assert_eq!(serde_json::from_str::<Statistics>(&text).expect("own text"), found);
}

#[test]
fn what_is_no_label_map_is_refused_by_its_first_such_voxel() {
    let refused = |dtype, raw: &[u8]| {
        gather(dtype, Kind::Label, &[raw]).expect_err("no label map").to_string()
    };
    let halves = [1.0, 2.5, 3.5].map(f16::from_f32);
    assert!(refused(Dtype::Float16, &bytes(&halves)).contains("2.5"));
    assert!(refused(Dtype::Float16, &bytes(&[f16::NEG_INFINITY])).contains("-inf"));
    assert!(refused(Dtype::Float32, &bytes(&[1.0_f32, 2.5, 3.5])).contains("2.5"));
    assert!(refused(Dtype::Float64, &bytes(&[f64::NAN])).contains("NaN"));
    assert!(refused(Dtype::Float64, &bytes(&[1e30])).contains("64 bits"));
    let many: Vec<i32> = (0..=1 << 20).collect();
    assert!(refused(Dtype::Int32, &bytes(&many)).contains("does not look like a label map"));
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let mut words = StatisticsAccumulator::new(Dtype::Int16, Kind::Intensity);
    assert!(words.add(&[1, 2, 3]).is_err());
    for (dtype, kind) in [(Dtype::UInt16, Kind::Intensity), (Dtype::Int16, Kind::Label)] {
        assert!(words.merge(StatisticsAccumulator::new(dtype, kind)).is_err());
    }
}
