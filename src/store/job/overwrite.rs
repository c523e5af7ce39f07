//! What predictions may take the place of.

use crate::disk::Disk;
use crate::store::pointer::Pointer;
use crate::store::{Dataset, Volume, VolumeName, staging};
use crate::{Error, Result};

/// What the outputs of an aggregation may replace, where their names are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// Nothing: a name that is taken is an error.
    #[default]
    Nothing,
    /// Predictions, which a model can make again.
    Predictions,
    /// Scans and label maps too, which nothing in the dataset can make again.
    Anything,
}

impl Dataset {
    /// Refuses a name that is taken by what is not to be replaced.
    pub(crate) fn check_overwrite(&self, name: &VolumeName, overwrite: Overwrite) -> Result<()> {
        check(&self.disk, name, overwrite).map(drop)
    }
}

/// The volume that has this name, if there is one. It is an error if that is not to be replaced.
pub(super) fn check(
    disk: &Disk,
    name: &VolumeName,
    overwrite: Overwrite,
) -> Result<Option<Pointer>> {
    let there = staging::replaced(disk, name, true)?;
    if there.is_some() && overwrite != Overwrite::Anything && !is_prediction(disk, name)? {
        return Err(Error::NotPredicted { path: disk.path(&name.to_string()) });
    }
    if there.is_some() && overwrite == Overwrite::Nothing {
        return Err(Error::AlreadyExists { path: disk.path(&name.to_string()) });
    }
    Ok(there)
}

/// Whether the volume of this name says that an aggregation made it. One whose documents are lost or
/// damaged does not: nobody knows what was there.
fn is_prediction(disk: &Disk, name: &VolumeName) -> Result<bool> {
    match Volume::open(disk, name) {
        Ok(volume) => Ok(volume.attributes().predicted_from.is_some()),
        Err(error @ Error::Io { .. }) => Err(error),
        Err(_) => Ok(false),
    }
}
