//! Whether an index is that of the volume it lies in: a wrong one would draw from wrong places.

use super::{Counted, SamplingIndex, frames, grid, inside, place};
use crate::sample::{ClassChunks, Contents};
use crate::store::volume::Stored;

impl SamplingIndex {
    /// Refuses an index of other voxels, or one that cannot be true. What it says of these voxels
    /// is not counted again here: `verify` does that.
    pub(super) fn check(&self, stored: &Stored, counted: Counted) -> Result<(), String> {
        let built_from = |what: &str| Err(format!("it was built from {what}"));
        let layout = &stored.attributes.layout;
        if self.voxels != stored.manifest.voxels {
            return built_from("other voxels than the volume's");
        }
        if (self.shape, self.chunk) != (stored.shape.shape, layout.chunk) {
            return built_from("chunks of another shape");
        }
        if matches!(counted, Counted::Weights(scaling) if scaling != self.scaling) {
            return built_from("weights of another scaling");
        }
        if self.frames.len() != frames(&stored.shape) {
            return built_from("another number of frames");
        }
        self.frames.iter().try_for_each(|contents| match (contents, counted) {
            (Contents::Classes(classes), Counted::Labels) => self.check_classes(classes),
            (Contents::Weights(chunks), Counted::Weights(_)) => {
                self.check_chunks(chunks.iter().map(|sum| sum.chunk))?;
                let total: f64 = chunks.iter().map(|sum| sum.weight).sum();
                let positive = chunks.iter().all(|sum| sum.weight > 0.0);
                if positive && total.is_finite() {
                    return Ok(());
                }
                Err("a weight in it is not a positive number".into())
            }
            _ => built_from("a volume of another kind"),
        })
    }

    /// Each voxel of each chunk has one label.
    fn check_classes(&self, classes: &[ClassChunks]) -> Result<(), String> {
        if !classes.is_sorted_by(|a, b| a.label < b.label) {
            return Err("its labels do not ascend".into());
        }
        let grid = grid(self.shape, self.chunk);
        let count: usize = grid.iter().product();
        // Asked first, so that room is made for no more chunks than the file has entries.
        if classes.iter().map(|class| class.chunks.len()).sum::<usize>() < count {
            return Err("it leaves chunks out".into());
        }
        let mut left: Vec<u64> = (0..count)
            .map(|n| {
                inside(self.shape, self.chunk, place(grid, n)).iter().product::<usize>() as u64
            })
            .collect();
        for class in classes {
            if class.chunks.is_empty() {
                return Err(format!("label {} is in no chunk of it", class.label));
            }
            self.check_chunks(class.chunks.iter().map(|count| count.chunk))?;
            for found in &class.chunks {
                let left = usize::try_from(found.chunk).ok().and_then(|n| left.get_mut(n));
                let rest = left.as_deref().and_then(|left| left.checked_sub(found.voxels));
                match (left, rest) {
                    (Some(left), Some(rest)) if found.voxels > 0 => *left = rest,
                    _ => return Err(format!("it miscounts chunk {}", found.chunk)),
                }
            }
        }
        match left.iter().position(|left| *left > 0) {
            Some(n) => Err(format!("it miscounts chunk {n}")),
            None => Ok(()),
        }
    }

    /// Ascending numbers of chunks that there are.
    fn check_chunks(&self, chunks: impl Iterator<Item = u64> + Clone) -> Result<(), String> {
        let count = grid(self.shape, self.chunk).iter().product::<usize>() as u64;
        let mut all = chunks.clone();
        if !chunks.is_sorted_by(|a, b| a < b) || !all.all(|chunk| chunk < count) {
            return Err("its chunks do not ascend, or are not in the volume".into());
        }
        Ok(())
    }
}
