//! The end of an aggregation: missing patches, and publication.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use rayon::prelude::*;

use super::report::AggregateReport;
use super::{Aggregator, finalise};
use crate::exec::caught;
use crate::{Error, Pool, Result};

/// How many missing patches an error names.
const NAMED: usize = 8;

impl Aggregator {
    /// Finishes all chunks with the patches that have arrived, and gives the number of missing
    /// patches. A voxel that no patch covers, or with [`super::Blend::Crop`] a voxel whose patch is
    /// missing, becomes `fill`, in the units of predictions: it is rounded, compared with the
    /// threshold, or for [`super::Values::Argmax`] becomes class 0. Other voxels are the means of
    /// the patches that have arrived.
    ///
    /// # Errors
    /// Those of writing shards. [`Error::Cancelled`] if `go_on`, which is asked before each chunk,
    /// returns false: the aggregation then takes no more predictions, and goes on from its last
    /// checkpoint when it is resumed.
    pub fn fill_missing(
        &mut self,
        fill: f32,
        pool: &Pool,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<u64> {
        self.check_sound()?;
        let missing: Vec<u64> = self.remaining().collect();
        let mut chunks = BTreeSet::new();
        for (n, group) in self.plan.groups.iter().enumerate() {
            for number in &missing {
                let touched = group.chunks_of(self.plan.place_of(*number));
                let wanted = touched.filter(|chunk| self.groups[n].wants(&self.plan, *chunk));
                chunks.extend(wanted.map(|chunk| (n, chunk)));
            }
        }
        let fill = |(n, at): &(usize, [usize; 3])| {
            if !go_on() {
                return Err(Error::Cancelled);
            }
            self.with_scratch(|s| self.groups[*n].fill(&self.context(), *at, fill, s))
        };
        let filled =
            pool.run(|| caught("filling a chunk", || chunks.par_iter().try_for_each(fill)));
        self.failed.fetch_or(filled.is_err(), Ordering::Relaxed);
        self.changed.store(true, Ordering::Relaxed);
        filled?;
        for number in &missing {
            self.arrived.set(*number, true);
        }
        Ok(missing.len() as u64)
    }

    /// Checks that every shard of this part is written, which is all that a part has to do before
    /// [`super::finalise`].
    ///
    /// # Errors
    /// [`Error::Incomplete`] if predictions are missing: the error names some of them, and all can
    /// still be added. The error of a shard that could not be written.
    pub fn check_complete(&self) -> Result<()> {
        self.check_sound()?;
        self.job.flush()?;
        let mut remaining = self.remaining();
        let first: Vec<u64> = remaining.by_ref().take(NAMED).collect();
        if first.is_empty() {
            // The checkpoint is not needed any longer, and is as large as the sums were.
            return if self.job.has_checkpoint() { self.job.remove_checkpoint() } else { Ok(()) };
        }
        let missing = (first.len() + remaining.count()) as u64;
        let regions = first.iter().filter_map(|number| self.plan.grid.region(*number)).collect();
        Err(Error::Incomplete { missing, patches: first, regions })
    }

    /// Checks that all shards are written, reads every voxel of the outputs once more, and
    /// publishes each output in one step. `progress` is called with the number of bytes of voxels
    /// read since its last call; if it returns false, the call is cancelled, and the shards stay to
    /// be resumed.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if predictions are missing: resume to add them, or ask
    /// [`Self::check_complete`] before; [`Error::InvalidArgument`] if this is one part of several;
    /// those of [`super::finalise`].
    pub fn finish(
        self,
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<AggregateReport> {
        self.check_complete()?;
        if self.part.of > 1 {
            let reason = "is one part of several: finalise publishes the outputs when all parts \
                          are complete";
            return Err(Error::invalid("part", self.part.index, reason));
        }
        let (memory, clipped) = (self.memory(), self.clipped());
        let seconds = self.began.elapsed().as_secs_f64();
        let Self { plan, options, dataset, job, memory: held, groups, scratch, .. } = self;
        // `finalise` takes the lock again; the sums are not needed for it.
        drop((job, held, groups, scratch));
        let mut report = finalise(&dataset, plan.name(), options.overwrite, pool, progress)?;
        report.memory = Some(memory);
        report.clipped = Some(clipped);
        report.seconds += seconds;
        Ok(report)
    }
}
