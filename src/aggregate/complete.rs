//! The end of an aggregation: what is missing, and what is made of the rest.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use rayon::prelude::*;

use super::report::AggregateReport;
use super::{Aggregator, finalise};
use crate::exec::caught;
use crate::{Error, Pool, Result};

/// So many missing patches are named.
const NAMED: usize = 8;

impl Aggregator {
    /// Finishes all chunks with the patches that have arrived, and gives the number of those that
    /// have not. A voxel that no patch covers, or in mode crop one whose patch is missing, becomes
    /// `fill`, in the units of predictions: it is rounded, compared with the threshold, or for
    /// [`super::Values::Argmax`] leaves class 0. Other voxels are the means of what has arrived.
    ///
    /// # Errors
    /// Those of writing shards.
    pub fn fill_missing(&mut self, fill: f32, pool: &Pool) -> Result<u64> {
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
            self.with_scratch(|s| self.groups[*n].fill(&self.target(), *at, fill, s))
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

    /// Checks that every shard of this part is written. The rest is [`super::finalise`]'s.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if predictions are missing: it names some of them; the others can
    /// still be added. That of a shard that could not be written.
    pub fn check_complete(&self) -> Result<()> {
        self.check_sound()?;
        self.job.flush()?;
        let mut remaining = self.remaining();
        let first: Vec<u64> = remaining.by_ref().take(NAMED).collect();
        if first.is_empty() {
            // Of no use any longer, and as large as what was held.
            return if self.job.has_checkpoint() { self.job.remove_checkpoint() } else { Ok(()) };
        }
        let missing = (first.len() + remaining.count()) as u64;
        let regions = first.iter().filter_map(|number| self.plan.grid.region(*number)).collect();
        Err(Error::Incomplete { missing, patches: first, regions })
    }

    /// Checks that all is there, looks through every voxel of the outputs once more, and publishes
    /// them, each in one step. `progress` is called with bytes of voxels looked through; a false
    /// answer cancels, and what was written stays to be resumed.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if predictions are missing: to add them, resume
    /// ([`Self::check_complete`] tells before); [`Error::InvalidArgument`] if this is one part of
    /// several; those of [`super::finalise`].
    pub fn finish(
        self,
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<AggregateReport> {
        self.check_complete()?;
        if self.part.of > 1 {
            let reason = "is published when all parts are complete, by finalise";
            return Err(Error::invalid("part", self.part.index, reason));
        }
        let (memory, clipped) = (self.memory(), self.clipped());
        let seconds = self.began.elapsed().as_secs_f64();
        let Self { plan, options, dataset, job, memory: held, groups, scratch, .. } = self;
        // Its lock is taken again; what was held is not needed to look through what is written.
        drop((job, held, groups, scratch));
        let mut report = finalise(&dataset, plan.name(), options.overwrite, pool, progress)?;
        report.memory = Some(memory);
        report.clipped = Some(clipped);
        report.seconds += seconds;
        Ok(report)
    }
}
