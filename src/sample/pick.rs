//! Two steps: the block, by sums of the index, then the voxel, by decoding that block. Together
//! they draw from all voxels that may be chosen.

use std::ops::Range;

use super::blocks::{Blocks, Share};
use super::{BlockCount, ClassBlocks, Random};
use crate::Result;

/// The classes with voxels that may be chosen, ascending by label, with exact counts.
#[derive(Debug)]
pub(super) struct Classes {
    blocks: Blocks,
    present: Vec<Class>,
    /// For each class, the number of voxels of this class and all classes before: strictly
    /// ascending.
    ends: Vec<u64>,
}

#[derive(Debug)]
struct Class {
    label: i64,
    /// Blocks with voxels that may be chosen, ascending.
    blocks: Vec<u64>,
    /// For each block, the number of voxels of this block and all blocks before: strictly
    /// ascending.
    ends: Vec<u64>,
}

impl Classes {
    /// Counts the voxels of the wanted classes. Decodes, once each, the blocks that may be chosen
    /// only in part and hold a wanted class.
    pub fn count<'i>(
        blocks: Blocks,
        wanted: impl Iterator<Item = &'i ClassBlocks>,
    ) -> Result<Self> {
        let mut classes: Vec<_> = wanted
            .map(|class| Counts { label: class.label, blocks: class.blocks.clone() })
            .collect();
        let mut parts = Vec::new();
        for (number, class) in classes.iter_mut().enumerate() {
            class.blocks.retain(|count| blocks.share(count.block) != Share::Nothing);
            parts.extend(class.blocks.iter().enumerate().filter_map(|(at, count)| {
                (blocks.share(count.block) == Share::Part).then_some((count.block, number, at))
            }));
        }
        parts.sort_unstable();
        for group in parts.chunk_by(|a, b| a.0 == b.0) {
            blocks.with_labels(group[0].0, |labels, _| {
                for (block, number, at) in group {
                    let Counts { label, blocks: counts } = &mut classes[*number];
                    let (found, count) = (number_of(labels, *label), &mut counts[*at]);
                    if found > count.voxels {
                        let what = format!("voxels with label {label} in a part");
                        return Err(blocks.contradiction(*block, &what, found, count.voxels));
                    }
                    count.voxels = found;
                }
                Ok(())
            })?;
        }
        let classes = classes.iter().map(Counts::sums).filter(|class| !class.ends.is_empty());
        let present: Vec<_> = classes.collect();
        // No sum exceeds the number of voxels, because the index was checked.
        let sum = |end: &mut u64, class: &Class| {
            *end = end.saturating_add(class.voxels());
            Some(*end)
        };
        let ends = present.iter().scan(0, sum).collect();
        Ok(Self { blocks, present, ends })
    }

    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// The labels, ascending.
    pub fn labels(&self) -> impl Iterator<Item = i64> {
        self.present.iter().map(|class| class.label)
    }

    /// How many voxels of each class may be chosen; none is 0.
    pub fn voxels(&self) -> impl Iterator<Item = u64> {
        self.present.iter().map(Class::voxels)
    }

    /// A voxel of the classes at these positions in [`Self::labels`], all voxels equally likely,
    /// and its label.
    pub fn pick(&self, places: Range<usize>, random: &mut Random) -> Result<(i64, [usize; 3])> {
        let before = |place: usize| if place == 0 { 0 } else { self.ends[place - 1] };
        let n = before(places.start)
            + random.below(before(places.end).saturating_sub(before(places.start)));
        let place = self.ends.partition_point(|end| *end <= n).clamp(places.start, places.end - 1);
        let class = &self.present[place];
        Ok((class.label, self.nth(class, n.saturating_sub(before(place)))?))
    }

    /// The `n`-th voxel of a class, block by block; the class has more than `n`.
    fn nth(&self, class: &Class, n: u64) -> Result<[usize; 3]> {
        let at = class.ends.partition_point(|end| *end <= n);
        let (block, before) = (class.blocks[at], if at == 0 { 0 } else { class.ends[at - 1] });
        let listed = class.ends[at] - before;
        self.blocks.with_labels(block, |labels, part| {
            let found = number_of(labels, class.label);
            let mut places =
                (0..).zip(labels).filter(|(_, label)| **label == class.label).map(|(at, _)| at);
            let place = usize::try_from(n - before).ok().and_then(|skip| places.nth(skip));
            match place {
                Some(place) if found == listed => Ok(part.voxel(place)),
                _ => {
                    let what = format!("voxels with label {}", class.label);
                    Err(self.blocks.contradiction(block, &what, found, listed))
                }
            }
        })
    }
}

impl Class {
    fn voxels(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }
}

/// The listed counts of a class, corrected to the voxels that may be chosen.
struct Counts {
    label: i64,
    blocks: Vec<BlockCount>,
}

impl Counts {
    fn sums(&self) -> Class {
        // No sum exceeds the number of voxels, because no count exceeds its block.
        let mut end = 0;
        let counts = self.blocks.iter().filter(|count| count.voxels > 0);
        let (blocks, ends) = counts
            .map(|count| {
                end += count.voxels;
                (count.block, end)
            })
            .unzip();
        Class { label: self.label, blocks, ends }
    }
}

fn number_of(labels: &[i64], label: i64) -> u64 {
    labels.iter().filter(|l| **l == label).count() as u64
}

/// Alternatives of unequal weight.
#[derive(Debug)]
pub(super) struct Chances {
    /// For each alternative, the sum of its weight and all weights before.
    ends: Vec<f64>,
}

impl Chances {
    /// For positive weights; `None` if there are none or their sum is not finite.
    pub fn new(weights: impl Iterator<Item = f64>) -> Option<Self> {
        let mut end = 0.0;
        let sum = |weight| {
            end += weight;
            end
        };
        let ends: Vec<_> = weights.map(sum).collect();
        ends.last().is_some_and(|end| end.is_finite()).then_some(Self { ends })
    }

    /// Chooses one. The product may round up to the whole sum, which chooses the last.
    pub fn choose(&self, random: &mut Random) -> usize {
        let last = self.ends.len() - 1;
        let target = random.unit() * self.ends[last];
        self.ends.partition_point(|end| *end <= target).min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Draw;
    use super::*;

    #[test]
    fn chances_are_those_of_the_weights_however_unequal() {
        let weights = [1.0, 1e-300, 2.0, f64::MIN_POSITIVE, 5.0];
        let chances = Chances::new(weights.into_iter()).unwrap();
        let mut counts = [0_u32; 5];
        let mut random = Random::of(Draw { seed: 1, epoch: 0, index: 0 });
        for _ in 0..8000 {
            counts[chances.choose(&mut random)] += 1;
        }
        assert!(counts[1] == 0 && counts[3] == 0, "{counts:?}");
        for (at, expected) in [(0, 1000.0), (2, 2000.0), (4, 5000.0)] {
            assert!((f64::from(counts[at]) - expected).abs() < 5.0 * expected.sqrt(), "{counts:?}");
        }
        assert!(Chances::new([].into_iter()).is_none());
        assert!(Chances::new([f64::MAX, f64::MAX].into_iter()).is_none());
    }
}
