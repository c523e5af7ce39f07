//! One axis of an output: the voxels that each place of the grid contributes to.
//!
//! A grid is the product of its axes, and the voxels that a place contributes to are the product of
//! three ranges: everything about a patch is worked out axis by axis.

use std::collections::HashMap;
use std::ops::Range;

use super::Blend;

/// The contributions of the places of a grid along one axis, in voxels of the output.
#[derive(Debug)]
pub(super) struct AxisPlan {
    /// Length of the output.
    pub(super) length: usize,
    /// Length of a prediction.
    pub(super) patch: usize,
    /// Where the prediction of each place begins; negative if the patch is padded. Ascending.
    starts: Vec<i64>,
    /// The voxels of the output that each place contributes to. Both ends ascend.
    spans: Vec<Range<usize>>,
    /// The window of a prediction; `None` if it is 1 everywhere.
    pub(super) window: Option<Vec<f64>>,
    /// For every voxel, the sum of the windows of the places that contribute to it.
    pub(super) weights: Vec<f64>,
    chunk: usize,
    /// The places that contribute to each chunk, ascending.
    members: Vec<Vec<usize>>,
    /// For each chunk, the first chunk to which places contribute in the same way.
    like: Vec<usize>,
}

/// The box of a chunk that a patch contributes to, `z, y, x`.
pub(super) type ChunkBox = [AxisPart; 3];

impl AxisPlan {
    /// `starts`, `patch`, `overlap` and `volume` are in voxels of the input, of which `factor` make
    /// one of the output: a voxel `n` of the input lies in `n / factor`, rounded down. `patch` is a
    /// multiple of `factor`, and the grid covers the volume. `chunk` is in voxels of the output.
    pub(super) fn new(
        blend: Blend,
        starts: &[i64],
        (patch, overlap): (usize, usize),
        (volume, factor): (usize, usize),
        chunk: usize,
    ) -> Self {
        let (length, patch) = (volume / factor, patch / factor);
        let per_voxel = signed(factor);
        let inside = |n: i64| usize::try_from(n.max(0)).map_or(length, |n| n.min(length));
        let begins: Vec<i64> = starts.iter().map(|start| start.div_euclid(per_voxel)).collect();
        let spans: Vec<_> = if blend == Blend::Crop {
            // A place owns the voxels from its own cut to the cut of the next place: where both
            // cover a voxel, the later place owns it. The first cut and the last lie at the border
            // of the volume or beyond.
            let cut = |start: i64| inside((start + signed(overlap / 2)).div_euclid(per_voxel));
            let cuts: Vec<usize> = std::iter::once(0)
                .chain(starts.iter().skip(1).map(|start| cut(*start)))
                .chain([length])
                .collect();
            cuts.windows(2).map(|cut| cut[0]..cut[1]).collect()
        } else {
            begins.iter().map(|begin| inside(*begin)..inside(begin + signed(patch))).collect()
        };
        let window = blend.window(patch);
        let mut weights = vec![0.0; length];
        for (begin, span) in begins.iter().zip(&spans) {
            for (at, weight) in weights[span.clone()].iter_mut().zip(span.clone()) {
                let n = offset(weight, *begin);
                *at += window.as_ref().map_or(1.0, |window| window[n]);
            }
        }
        let mut members = vec![Vec::new(); length.div_ceil(chunk)];
        for (place, span) in spans.iter().enumerate().filter(|(_, span)| !span.is_empty()) {
            for chunk in chunks(span, chunk) {
                members[chunk].push(place);
            }
        }
        let like = Vec::new();
        let mut axis =
            Self { length, patch, starts: begins, spans, window, weights, chunk, members, like };
        axis.like = axis.alike();
        axis
    }

    /// For each chunk, the first chunk to which places contribute in the same way: on a grid, these
    /// patterns repeat.
    fn alike(&self) -> Vec<usize> {
        let mut first = HashMap::new();
        let parts = |chunk: usize| -> Vec<AxisPart> {
            self.members[chunk].iter().map(|place| self.part(*place, chunk)).collect()
        };
        (0..self.chunks()).map(|chunk| *first.entry(parts(chunk)).or_insert(chunk)).collect()
    }

    /// The first chunk to which places contribute as they do to `chunk`.
    pub(super) fn like(&self, chunk: usize) -> usize {
        self.like[chunk]
    }

    /// Number of places.
    pub(super) fn places(&self) -> usize {
        self.spans.len()
    }

    /// Number of chunks.
    pub(super) fn chunks(&self) -> usize {
        self.members.len()
    }

    /// The chunks that a place contributes to.
    pub(super) fn chunks_of(&self, place: usize) -> Range<usize> {
        chunks(&self.spans[place], self.chunk)
    }

    /// The places that contribute to a chunk, ascending.
    pub(super) fn members(&self, chunk: usize) -> &[usize] {
        &self.members[chunk]
    }

    /// The voxels of a chunk that lie in the output.
    pub(super) fn inside(&self, chunk: usize) -> usize {
        self.chunk.min(self.length - chunk * self.chunk)
    }

    /// The contribution of a place to a chunk that it is a member of.
    pub(super) fn part(&self, place: usize, chunk: usize) -> AxisPart {
        let (span, origin) = (&self.spans[place], chunk * self.chunk);
        let from = span.start.max(origin);
        AxisPart {
            length: span.end.min(origin + self.chunk) - from,
            in_chunk: from - origin,
            in_patch: offset(from, self.starts[place]),
        }
    }

    /// The voxels of the output that a place contributes to.
    pub(super) fn span(&self, place: usize) -> Range<usize> {
        self.spans[place].clone()
    }

    /// The voxels of a place's prediction that contribute to the output.
    pub(super) fn used(&self, place: usize) -> Range<usize> {
        let (span, begin) = (&self.spans[place], self.starts[place]);
        if span.is_empty() { 0..0 } else { offset(span.start, begin)..offset(span.end, begin) }
    }

    /// The most layers of chunks that are begun and not finished at any time, if places come in
    /// ascending order.
    pub(super) fn open_layers(&self) -> usize {
        let is_open = |place: &usize| {
            let open = |members: &&Vec<usize>| {
                members.first().is_some_and(|first| first <= place)
                    && members.last().is_some_and(|last| last >= place)
            };
            self.members.iter().filter(open).count()
        };
        (0..self.places()).map(|place| is_open(&place)).max().unwrap_or(0)
    }
}

/// The contribution of a place to a chunk along one axis, in voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AxisPart {
    pub(super) length: usize,
    /// Where the contribution begins in the chunk.
    pub(super) in_chunk: usize,
    /// Where the contribution begins in the prediction.
    pub(super) in_patch: usize,
}

/// The chunks that a span touches.
fn chunks(span: &Range<usize>, chunk: usize) -> Range<usize> {
    if span.is_empty() { 0..0 } else { span.start / chunk..span.end.div_ceil(chunk) }
}

/// Where a voxel of the output lies in the prediction that begins at `begin`, which is not after
/// it.
fn offset(voxel: usize, begin: i64) -> usize {
    usize::try_from(signed(voxel) - begin).expect("spans lie inside their predictions")
}

/// Lossless: no axis is longer than `i64::MAX`, which limits the bytes of a volume.
fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{GridSampler, Overlap};

    fn axis(blend: Blend, volume: usize, patch: usize, overlap: usize, pad: bool) -> AxisPlan {
        factored(blend, volume, patch, overlap, pad, 1, 5)
    }

    fn factored(
        blend: Blend,
        volume: usize,
        patch: usize,
        overlap: usize,
        pad: bool,
        factor: usize,
        chunk: usize,
    ) -> AxisPlan {
        let sampler = GridSampler::new([1, 1, patch], Overlap::Voxels([0, 0, overlap])).unwrap();
        let sampler = sampler.pad_small_volumes(true).pad_borders(pad);
        let grid = sampler.grid([1, 1, volume]).unwrap();
        let starts: Vec<i64> = grid.starts(2).collect();
        AxisPlan::new(blend, &starts, (patch, overlap), (volume, factor), chunk)
    }

    /// `TorchIO` 1: half the overlap is trimmed at each face that is not the volume's, then
    /// patches are assigned in order.
    fn torchio_owners(starts: &[i64], volume: usize, patch: usize, overlap: usize) -> Vec<usize> {
        let (volume, patch, half) = (signed(volume), signed(patch), signed(overlap / 2));
        let mut owners = vec![usize::MAX; usize::try_from(volume).unwrap()];
        for (n, &start) in starts.iter().enumerate() {
            let from = if start > 0 { start + half } else { start };
            let end = start + patch;
            let to = if end == volume { end } else { end - half };
            for voxel in from..to {
                owners[usize::try_from(voxel).unwrap()] = n;
            }
        }
        owners
    }

    #[test]
    fn the_case_of_torchio_813_has_no_gap() {
        let axis = axis(Blend::Crop, 320, 102, 4, false);
        let starts = [0, 98, 196, 218];
        assert_eq!(axis.starts, starts);
        assert_eq!(axis.spans, [0..100, 100..198, 198..220, 220..320]);
        let owners = torchio_owners(&starts, 320, 102, 4);
        for (voxel, owner) in owners.into_iter().enumerate() {
            assert!(axis.spans[owner].contains(&voxel), "{voxel}");
        }
    }

    proptest! {
        #[test]
        fn crop_gives_every_voxel_the_owner_that_torchio_gives_it(
            volume in 1_usize..80, patch in 1_usize..30, half in 0_usize..15,
        ) {
            prop_assume!(patch <= volume && 2 * half < patch);
            let axis = axis(Blend::Crop, volume, patch, 2 * half, false);
            let owners = torchio_owners(&axis.starts, volume, patch, 2 * half);
            for (voxel, owner) in owners.into_iter().enumerate() {
                prop_assert!(axis.spans[owner].contains(&voxel), "{}: {:?}", voxel, axis.spans);
            }
        }

        #[test]
        fn crop_is_a_partition_and_spans_lie_in_their_predictions(
            volume in 1_usize..80, patch in 1_usize..30, overlap in 0_usize..30,
            pad: bool, factor in 1_usize..4, chunk in 1_usize..12,
        ) {
            let patch = patch * factor;
            prop_assume!(overlap < patch && volume >= factor);
            for blend in [Blend::Crop, Blend::Average, Blend::Hann] {
                let axis = factored(blend, volume, patch, overlap, pad, factor, chunk);
                prop_assert_eq!(axis.length, volume / factor);
                let mut covered = vec![0; axis.length];
                for place in 0..axis.places() {
                    let used = axis.used(place);
                    prop_assert!(used.end <= axis.patch);
                    prop_assert_eq!(used.len(), axis.spans[place].len());
                    axis.spans[place].clone().for_each(|voxel| covered[voxel] += 1);
                    for n in 0..axis.chunks() {
                        let touches = axis.spans[place].clone().any(|voxel| voxel / chunk == n);
                        prop_assert_eq!(axis.members(n).contains(&place), touches);
                        prop_assert_eq!(axis.chunks_of(place).contains(&n), touches);
                        if touches {
                            let part = axis.part(place, n);
                            prop_assert!(part.length > 0);
                            prop_assert!(part.in_chunk + part.length <= axis.inside(n));
                            prop_assert!(part.in_patch + part.length <= axis.patch);
                            let voxel = signed(n * chunk + part.in_chunk);
                            prop_assert_eq!(signed(part.in_patch), voxel - axis.starts[place]);
                        }
                    }
                }
                prop_assert!(covered.iter().all(|n| *n > 0));
                prop_assert!(blend != Blend::Crop || covered.iter().all(|n| *n == 1));
                prop_assert!(axis.weights.iter().all(|weight| *weight > 0.0));
            }
        }
    }
}
