//! Patches moved at random, so that the voxel around which they were drawn does not always stand
//! in the middle.

use std::sync::Arc;

use super::border::signed;
use super::random::Purpose;
use super::{Absent, Draw, Field, Random, Regions, Sample, Sampler};
use crate::error::show;
use crate::{Error, Result};

/// The draws of another sampler, each moved along each axis by up to so many voxels. A network that
/// sees lesions in the middle of patches alone learns to look there.
///
/// Moves are uniform among those that leave the patch inside the volume; on an axis where a patch
/// reaches beyond the volume, among those that take it no further out.
#[derive(Debug, Clone)]
pub struct JitterSampler {
    sampler: Arc<dyn Sampler>,
    by: [usize; 3],
}

impl JitterSampler {
    /// Moves by up to `by` voxels, `z, y, x`: at most half a patch (`(P - 1) / 2`), so that the
    /// voxel around which a patch was drawn stays inside.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more.
    pub fn new(sampler: Arc<dyn Sampler>, by: [usize; 3]) -> Result<Self> {
        let most = sampler.patch().map(|length| length.saturating_sub(1) / 2);
        if (0..3).any(|axis| by[axis] > most[axis]) {
            let reason = format!(
                "patches of {} are moved by at most {}, so that the voxel they were drawn around \
                 stays inside",
                show(&sampler.patch()),
                show(&most)
            );
            return Err(Error::invalid("jitter", show(&by), reason));
        }
        Ok(Self { sampler, by })
    }
}

impl Sampler for JitterSampler {
    fn patch(&self) -> [usize; 3] {
        self.sampler.patch()
    }

    fn follows_voxels(&self) -> bool {
        self.sampler.follows_voxels()
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        let volume = field.shape();
        Ok(Arc::new(Moved { regions: self.sampler.prepare(field)?, by: self.by, volume }))
    }
}

#[derive(Debug)]
struct Moved {
    regions: Arc<dyn Regions>,
    by: [usize; 3],
    volume: [usize; 3],
}

impl Regions for Moved {
    fn count(&self) -> Option<u64> {
        self.regions.count()
    }

    fn absent(&self) -> &[Absent] {
        self.regions.absent()
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        let mut sample = self.regions.draw(draw)?;
        let mut random = Random::of_purpose(draw, Purpose::Jitter);
        for axis in 0..3 {
            let (start, by) = (sample.region.start[axis], signed(self.by[axis]));
            let last = signed(self.volume[axis]).saturating_sub(signed(sample.region.shape[axis]));
            let lowest = start.saturating_sub(by).max(start.min(0));
            let highest = start.saturating_add(by).min(start.max(last));
            let moves = lowest.abs_diff(highest) + 1;
            sample.region.start[axis] = lowest.saturating_add_unsigned(random.below(moves));
        }
        Ok(sample)
    }
}
