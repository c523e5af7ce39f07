//! What samplers read of a field, what they refuse, and what they say of an index that is wrong.
#![allow(
    clippy::cast_possible_wrap,
    clippy::unwrap_used,
    reason = "a test's numbers are small, and it may fail"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::sample_common::{Dense, anatomy, block_of, draw, heat, prepare};
use proptest::prelude::*;
use voxpatch::sample::{
    BlockCount, BlockIndex, BlockSum, Border, ClassBlocks, Contents, Draw, ForegroundSampler,
    LabelSampler, Sampler, UniformSampler, WeightedSampler,
};
use voxpatch::{Error, Region};

const SHAPE: [usize; 3] = [7, 9, 8];
const BLOCK_SHAPE: [usize; 3] = [3, 4, 5];

fn labelled() -> Dense {
    Dense::labelled(SHAPE, BLOCK_SHAPE, anatomy)
}

fn weighted() -> Dense {
    Dense::weighted(SHAPE, BLOCK_SHAPE, heat)
}

fn message(result: Result<impl std::fmt::Debug, Error>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error:?}");
    error.to_string()
}

fn number(region: &Region) -> u64 {
    block_of(region.start.map(|start| usize::try_from(start).unwrap()), SHAPE, BLOCK_SHAPE)
}

#[test]
fn preparing_reads_border_blocks_of_wanted_classes_once_and_a_draw_reads_one_block() {
    let patch = [4, 4, 4];
    let sampler = LabelSampler::per_class(patch, Some(&[(5, 1.0), (1, 1.0)])).unwrap();
    for border in [Border::Clamp, Border::Mask] {
        let (regions, field) = prepare(&sampler.clone().border(border), labelled());
        let reads = std::mem::take(&mut *field.reads.lock().unwrap());
        let Contents::Classes(classes) = &field.index.contents else { panic!("labels") };
        let wanted: BTreeSet<_> = classes
            .iter()
            .filter(|class| [1, 5].contains(&class.label))
            .flat_map(|class| class.blocks.iter().map(|count| count.block))
            .collect();
        let read: BTreeSet<_> = reads.iter().map(number).collect();
        assert!(read.len() == reads.len() && read.is_subset(&wanted), "{reads:?}");
        assert_eq!(reads.is_empty(), border == Border::Clamp);
        for index in 0..50 {
            draw(&*regions, 1, index);
            assert_eq!(field.reads.lock().unwrap().len(), usize::try_from(index).unwrap() + 1);
        }
    }
}

#[test]
fn what_cannot_be_drawn_is_refused_with_a_remedy() {
    let patch = [2; 3];
    for refused in [
        LabelSampler::per_class([2, 0, 2], None),
        LabelSampler::per_class([usize::MAX; 3], None),
        LabelSampler::per_class(patch, Some(&[])),
        LabelSampler::per_class(patch, Some(&[(1, 0.0), (2, 0.0)])),
        LabelSampler::per_voxel(patch, Some(&[(1, -1.0)])),
        LabelSampler::per_voxel(patch, Some(&[(1, f64::NAN)])),
        LabelSampler::per_voxel(patch, Some(&[(1, f64::INFINITY)])),
        LabelSampler::per_voxel(patch, Some(&[(1, 1.0), (2, 1.0), (1, 1.0)])),
    ] {
        message(refused);
    }
    for (pos, neg) in [(0.0, 0.0), (-1.0, 2.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
        message(ForegroundSampler::pos_neg(patch, pos, neg));
    }
    for share in [-0.1, 1.1, f64::NAN] {
        message(ForegroundSampler::oversample(patch, share));
    }
    message(UniformSampler::new([0, 1, 1]));
    message(WeightedSampler::new([1, 1, 0]));

    let refusal = |sampler: &dyn Sampler, field| message(sampler.prepare(Arc::new(field)));
    let sampler = LabelSampler::per_class(patch, Some(&[(7, 1.0), (9, 1.0)])).unwrap();
    let said = refusal(&sampler, labelled());
    for part in ["7, 9", "case01/labels", "-1, 0, 1, 2, 5"] {
        assert!(said.contains(part), "{said}");
    }
    // Label 5 lies in a corner, where no patch can be centred.
    let sampler = LabelSampler::per_class([5; 3], Some(&[(5, 1.0)])).unwrap();
    assert!(refusal(&sampler, labelled()).contains("Border::Clamp"));
    let large = [8, 9, 8];
    let large: [Box<dyn Sampler>; 4] = [
        Box::new(UniformSampler::new(large).unwrap()),
        Box::new(LabelSampler::per_voxel(large, None).unwrap()),
        Box::new(WeightedSampler::new(large).unwrap()),
        Box::new(ForegroundSampler::oversample(large, 0.5).unwrap()),
    ];
    for sampler in large {
        assert!(refusal(&*sampler, labelled()).contains("small volumes padded"));
    }
    let zeros = Dense::weighted(SHAPE, BLOCK_SHAPE, |_| 0.0);
    assert!(refusal(&WeightedSampler::new(patch).unwrap(), zeros).contains("above 0"));
    let huge = Dense::weighted(SHAPE, BLOCK_SHAPE, |_| f64::MAX / 100.0);
    assert!(refusal(&WeightedSampler::new([1; 3]).unwrap(), huge).contains("too large"));
    refusal(&WeightedSampler::new(patch).unwrap(), labelled());
    refusal(&LabelSampler::per_class(patch, None).unwrap(), weighted());
    refusal(&UniformSampler::new(patch).unwrap(), Dense::labelled([0, 3, 3], BLOCK_SHAPE, |_| 0));
}

fn is_damage(error: &Error) -> bool {
    matches!(error, Error::CorruptStore { path, .. } if path.ends_with("labels"))
}

#[test]
fn voxels_that_contradict_the_index_are_an_error() {
    let border = Border::Clamp;
    let sampler = LabelSampler::per_class([1; 3], Some(&[(1, 1.0)])).unwrap().border(border);
    for change in
        [|label| if label == 1 { 2 } else { label }, |label| if label == 0 { 1 } else { label }]
    {
        // All of a class gone, or more of it than was counted.
        let mut field = labelled();
        field.labels.iter_mut().for_each(|label| *label = change(*label));
        let (regions, _) = prepare(&sampler, field);
        let draws = (0..100).map(|index| regions.draw(Draw { seed: 0, epoch: 0, index }));
        let errors: Vec<_> = draws.filter_map(Result::err).collect();
        assert!(!errors.is_empty() && errors.iter().all(is_damage), "{errors:?}");
    }
    for change in [|_| 0.0, |weight| weight * 1.1, |weight| weight * 0.9] {
        let mut field = weighted();
        field.weights.iter_mut().for_each(|weight| *weight = change(*weight));
        let sampler = WeightedSampler::new([1; 3]).unwrap().border(border);
        let (regions, _) = prepare(&sampler, field);
        let error = regions.draw(Draw { seed: 0, epoch: 0, index: 0 }).unwrap_err();
        assert!(is_damage(&error), "{error:?}");
    }
    for weight in [f64::NAN, -1.0, f64::INFINITY] {
        let mut field = weighted();
        field.weights.iter_mut().for_each(|old| *old = weight);
        let (regions, _) = prepare(&WeightedSampler::new([1; 3]).unwrap(), field);
        message(regions.draw(Draw { seed: 0, epoch: 0, index: 0 }));
    }
}

#[test]
fn an_index_that_cannot_be_is_refused_when_preparing() {
    let wrong: [fn(&mut BlockIndex, &mut Vec<ClassBlocks>); 9] = [
        |index, _| index.shape[1] += 1,
        |index, _| index.block[2] = 0,
        |_, classes| classes.reverse(),
        |_, classes| classes[1].label = classes[0].label,
        |_, classes| classes[1].blocks.reverse(),
        |_, classes| classes[1].blocks[1].block = classes[1].blocks[0].block,
        |_, classes| classes[1].blocks.last_mut().unwrap().block = 18,
        |_, classes| classes[1].blocks[0].voxels = 0,
        |_, classes| classes[1].blocks[0].voxels = 61,
    ];
    for (case, change) in wrong.iter().enumerate() {
        let mut field = labelled();
        let Contents::Classes(mut classes) = field.index.contents.clone() else { panic!("labels") };
        change(&mut field.index, &mut classes);
        field.index.contents = Contents::Classes(classes);
        let sampler = LabelSampler::per_class([2; 3], None).unwrap();
        let error = sampler.prepare(Arc::new(field)).unwrap_err();
        assert!(is_damage(&error), "{case}: {error:?}");
    }
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0_u64..20, 1 => 20_u64..100, 1 => any::<u64>()]
}

fn any_contents() -> impl Strategy<Value = Contents> {
    let counts = prop::collection::vec((any_number(), any_number()), 0..6);
    let class = (prop_oneof![9 => -2_i64..6, 1 => any::<i64>()], counts, any::<bool>());
    let classes = prop::collection::vec(class, 0..5).prop_map(|mut classes| {
        // Half of them in order, so that more than the order is put to the test.
        classes.sort_by_key(|class| (class.2, class.0));
        let classes = classes.into_iter().map(|(label, mut counts, sorted)| {
            if sorted {
                counts.sort_unstable();
                counts.dedup_by_key(|count| count.0);
            }
            let blocks = counts.into_iter().map(BlockCount::from).collect();
            ClassBlocks { label, blocks }
        });
        Contents::Classes(classes.collect())
    });
    let weight = prop_oneof![4 => 0.0_f64..50.0, 1 => any::<f64>()];
    let sums = prop::collection::vec((any_number(), weight), 0..6).prop_map(|mut sums| {
        sums.sort_by_key(|sum| sum.0);
        Contents::Weights(sums.into_iter().map(BlockSum::from).collect())
    });
    prop_oneof![classes, sums]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_an_index_says_the_answer_is_a_region_inside_or_an_error(
        contents in any_contents(),
        shape in prop_oneof![9 => Just(SHAPE), 1 => prop::array::uniform3(any::<usize>())],
        block in prop_oneof![
            Just(BLOCK_SHAPE),
            prop::array::uniform3(1_usize..10),
            prop::array::uniform3(any::<usize>()),
        ],
        patch in prop::array::uniform3(1_usize..8),
        mask: bool,
        seed: u64,
    ) {
        let border = if mask { Border::Mask } else { Border::Clamp };
        let samplers: [Box<dyn Sampler>; 6] = [
            Box::new(UniformSampler::new(patch).unwrap()),
            Box::new(WeightedSampler::new(patch).unwrap().border(border)),
            Box::new(LabelSampler::per_class(patch, None).unwrap().border(border)),
            Box::new(LabelSampler::per_voxel(patch, None).unwrap().border(border)),
            Box::new(ForegroundSampler::pos_neg(patch, 1.0, 1.0).unwrap().border(border)),
            Box::new(ForegroundSampler::oversample(patch, 0.5).unwrap().border(border)),
        ];
        let voxels = || crate::sample_common::voxels(SHAPE);
        let index = BlockIndex { shape, block, contents };
        let (labels, weights) = (voxels().map(anatomy).collect(), voxels().map(heat).collect());
        let field = Arc::new(Dense::new(SHAPE, labels, weights, index));
        for sampler in samplers {
            let Ok(regions) = sampler.prepare(field.clone()) else { continue };
            for index in 0..8 {
                if let Ok(sample) = regions.draw(Draw { seed, epoch: 0, index }) {
                    prop_assert!(sample.region.is_inside(SHAPE) && sample.region.shape == patch);
                }
            }
        }
    }
}
