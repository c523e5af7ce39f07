//! A volume as samplers see it.

use std::sync::Arc;

use crate::sample::{ChunkIndex, Field};
use crate::store::Volume;
use crate::{Error, Region, Result};

impl Field for Volume {
    fn shape(&self) -> [usize; 3] {
        Self::shape(self)
    }

    fn index(&self) -> Result<Arc<ChunkIndex>> {
        Err(Error::invalid("sampler", self.name(), "the volume has no index to sample by"))
    }

    fn labels(&self, _: Region, _: &mut Vec<i64>) -> Result<()> {
        Err(Error::invalid("sampler", self.name(), "the volume cannot be sampled by label"))
    }

    fn weights(&self, _: Region, _: &mut Vec<f64>) -> Result<()> {
        Err(Error::invalid("sampler", self.name(), "the volume cannot be sampled by weight"))
    }
}
