//! A volume read by its plain view.

use ndarray::{Array3, Array4, Ix4};

use super::cost::ReadCost;
use super::voxels::Voxels;
use crate::store::Volume;
use crate::{Element, Pool, Region, Result};

impl Volume {
    /// Reads a region of the first frame: [`crate::View::read`] of [`Volume::view`].
    ///
    /// # Errors
    /// As [`crate::View::read`].
    pub fn read<T: Element>(&self, region: Region) -> Result<Array3<T>> {
        self.view().read(region)
    }

    /// Reads a region of the first frame in the type of the source: [`crate::View::read_any`] of
    /// [`Volume::view`].
    ///
    /// # Errors
    /// As [`crate::View::read_any`].
    pub fn read_any(&self, region: Region) -> Result<Voxels> {
        self.view().read_any(region)
    }

    /// Reads a region of the first frame into a buffer: [`crate::View::read_into`] of [`Volume::view`].
    ///
    /// # Errors
    /// As [`crate::View::read_into`].
    pub fn read_into<T: Element>(&self, region: Region, out: &mut [T]) -> Result<()> {
        self.view().read_into(region, out)
    }

    /// Reads regions of the first frame: [`crate::View::read_many`] of [`Volume::view`].
    ///
    /// # Errors
    /// As [`crate::View::read_many`].
    pub fn read_many<T: Element>(&self, regions: &[Region], pool: &Pool) -> Result<Array4<T>> {
        self.view().read_many(regions, pool)
    }

    /// Reads regions of the first frame in the type of the source: [`crate::View::read_many_any`] of
    /// [`Volume::view`].
    ///
    /// # Errors
    /// As [`crate::View::read_many_any`].
    pub fn read_many_any(&self, regions: &[Region], pool: &Pool) -> Result<Voxels<Ix4>> {
        self.view().read_many_any(regions, pool)
    }

    /// Reads regions of the first frame into a buffer: [`crate::View::read_many_into`] of
    /// [`Volume::view`].
    ///
    /// # Errors
    /// As [`crate::View::read_many_into`].
    pub fn read_many_into<T: Element>(
        &self,
        regions: &[Region],
        out: &mut [T],
        pool: &Pool,
    ) -> Result<()> {
        self.view().read_many_into(regions, out, pool)
    }

    /// The work of reading a region of the first frame: [`crate::View::cost`] of [`Volume::view`].
    ///
    /// # Errors
    /// As [`crate::View::cost`].
    pub fn cost(&self, region: Region) -> Result<ReadCost> {
        self.view().cost(region)
    }

    /// The work of reading regions of the first frame together: [`crate::View::batch_cost`] of
    /// [`Volume::view`].
    ///
    /// # Errors
    /// As [`crate::View::batch_cost`].
    pub fn batch_cost(&self, regions: &[Region]) -> Result<ReadCost> {
        self.view().batch_cost(regions)
    }

    /// Tells the system that a region of the first frame will soon be read: [`crate::View::prefetch`] of
    /// [`Volume::view`].
    ///
    /// # Errors
    /// As [`crate::View::prefetch`].
    pub fn prefetch(&self, region: Region) -> Result<()> {
        self.view().prefetch(region)
    }
}
