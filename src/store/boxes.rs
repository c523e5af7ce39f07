//! A box of a frame, from the parts of the chunks that the box touches.

use super::chunks::SCRATCH;
use super::destination::Destination;
use super::look::Look;
use super::parts::for_each_part;
use super::scatter::Scatter;
use crate::layout::ChunkLayout;
use crate::{Frame, Result};

impl Look {
    /// Reads a box of a frame that lies inside the volume, start and shape in `z, y, x`. The flips of
    /// this look are the caller's: the destination is mirrored already, or is not to be.
    pub(crate) fn read_box(
        &self,
        frame: Frame,
        start: [usize; 3],
        shape: [usize; 3],
        out: Destination<'_>,
    ) -> Result<()> {
        let ChunkLayout { chunk, .. } = *self.volume.layout();
        let voxels = (self.rows(), self.volume.stored_dtype().size());
        let cache = self.cache_here();
        let gathered = self.gather(cache.as_deref(), frame, start, shape)?;
        let memory = (cache.as_deref(), &gathered);
        let has_rows = out.has_rows();
        let item = out.item;
        SCRATCH.with_borrow_mut(|scratch| {
            for_each_part(chunk, start, shape, voxels, out, |at, part, target| {
                let at = (frame, at);
                if has_rows {
                    return self.take_part(memory, at, part, target, scratch);
                }
                Scatter::new(item, part, target)
                    .write(|dense| self.take_part(memory, at, part, dense, scratch))
            })?;
            scratch.trim();
            Ok(())
        })
    }
}
