//! Which volumes predictions may replace.

use crate::disk::Disk;
use crate::store::pointer::Pointer;
use crate::store::{Dataset, Volume, VolumeName, staging};
use crate::{Error, Result};

/// Which existing volumes the outputs of an aggregation may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// None: an existing volume is an error.
    #[default]
    Nothing,
    /// Predictions, which a model can make again.
    Predictions,
    /// Scans and label maps too, which cannot be restored from the dataset.
    Anything,
}

impl Dataset {
    /// Refuses a name whose volume must not be replaced.
    pub(crate) fn check_overwrite(&self, name: &VolumeName, overwrite: Overwrite) -> Result<()> {
        check(&self.disk, name, overwrite).map(drop)
    }
}

/// The volume of this name, if there is one; an error if it must not be replaced.
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

/// Whether the volume of this name was made by an aggregation, according to its attributes. False
/// for a volume whose documents are lost or damaged, because its content is unknown.
fn is_prediction(disk: &Disk, name: &VolumeName) -> Result<bool> {
    match Volume::open(disk, name) {
        Ok(volume) => Ok(volume.attributes().predicted_from.is_some()),
        Err(error @ Error::Io { .. }) => Err(error),
        Err(_) => Ok(false),
    }
}
