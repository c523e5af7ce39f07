//! Whether an index belongs to its volume: a wrong index would draw from wrong places.

use super::{Counted, SamplingIndex, frames, grid, inside, place};
use crate::sample::{BLOCK, ClassBlocks, Contents};
use crate::store::stored::Stored;

impl SamplingIndex {
    /// Refuses an index of other voxels, and an impossible one. The voxels are not counted again;
    /// `verify` does that.
    pub(super) fn check(&self, stored: &Stored, counted: Counted) -> Result<(), String> {
        let built_from = |what: &str| Err(format!("it was built from {what}"));
        if self.voxels != stored.manifest.voxels {
            return built_from("other voxels than the volume's");
        }
        if (self.shape, self.block) != (stored.shape.shape, BLOCK) {
            return built_from("a volume or blocks of another shape");
        }
        if matches!(counted, Counted::Weights(scaling) if scaling != self.scaling) {
            return built_from("weights of another scaling");
        }
        if self.frames.len() != frames(&stored.shape) {
            return built_from("another number of frames");
        }
        self.frames.iter().try_for_each(|contents| match (contents, counted) {
            (Contents::Classes(classes), Counted::Labels) => self.check_classes(classes),
            (Contents::Weights(blocks), Counted::Weights(_)) => {
                self.check_blocks(blocks.iter().map(|sum| sum.block))?;
                let total: f64 = blocks.iter().map(|sum| sum.weight).sum();
                let positive = blocks.iter().all(|sum| sum.weight > 0.0);
                if positive && total.is_finite() {
                    return Ok(());
                }
                Err("a weight in it is not a positive number".into())
            }
            _ => built_from("a volume of another kind"),
        })
    }

    /// Checks that each voxel of each block has one label.
    fn check_classes(&self, classes: &[ClassBlocks]) -> Result<(), String> {
        if !classes.is_sorted_by(|a, b| a.label < b.label) {
            return Err("its labels do not ascend".into());
        }
        let grid = grid(self.shape);
        let count: usize = grid.iter().product();
        // Checked first, so that memory is taken for no more blocks than the file has entries.
        if classes.iter().map(|class| class.blocks.len()).sum::<usize>() < count {
            return Err("it leaves blocks out".into());
        }
        let mut left: Vec<u64> = (0..count)
            .map(|n| inside(self.shape, place(grid, n)).iter().product::<usize>() as u64)
            .collect();
        for class in classes {
            if class.blocks.is_empty() {
                return Err(format!("label {} is in no block of it", class.label));
            }
            self.check_blocks(class.blocks.iter().map(|count| count.block))?;
            for found in &class.blocks {
                let left = usize::try_from(found.block).ok().and_then(|n| left.get_mut(n));
                let rest = left.as_deref().and_then(|left| left.checked_sub(found.voxels));
                match (left, rest) {
                    (Some(left), Some(rest)) if found.voxels > 0 => *left = rest,
                    _ => return Err(format!("it miscounts block {}", found.block)),
                }
            }
        }
        match left.iter().position(|left| *left > 0) {
            Some(n) => Err(format!("it miscounts block {n}")),
            None => Ok(()),
        }
    }

    /// Checks that numbers of blocks ascend and exist.
    fn check_blocks(&self, blocks: impl Iterator<Item = u64> + Clone) -> Result<(), String> {
        let count = grid(self.shape).iter().product::<usize>() as u64;
        let mut all = blocks.clone();
        if !blocks.is_sorted_by(|a, b| a < b) || !all.all(|block| block < count) {
            return Err("its blocks do not ascend, or are not in the volume".into());
        }
        Ok(())
    }
}
