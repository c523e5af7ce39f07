//! What predictions may take the place of.

use std::io;

use crate::store::disk::Disk;
use crate::store::{DOCUMENT, Dataset, VolumeName, documents, staging};
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
        check(&*self.disk, name, overwrite).map(drop)
    }
}

/// Whether a name is taken. It is an error if what is there is not to be replaced.
pub(super) fn check(disk: &dyn Disk, name: &VolumeName, overwrite: Overwrite) -> Result<bool> {
    let taken = staging::is_taken(disk, name, true)?;
    if taken && overwrite != Overwrite::Anything && !is_prediction(disk, name)? {
        return Err(Error::NotPredicted { path: disk.path(&name.to_string()) });
    }
    staging::is_taken(disk, name, overwrite != Overwrite::Nothing)
}

/// Whether the volume of this name says that an aggregation made it. One whose document is lost or
/// damaged does not: nobody knows what was there.
fn is_prediction(disk: &dyn Disk, name: &VolumeName) -> Result<bool> {
    let key = format!("{name}/{DOCUMENT}");
    match disk.read(&key) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("read", disk.path(&key))(e)),
        Ok(document) => Ok(documents::attribute_of(&document)
            .is_ok_and(|attribute| attribute["predicted_from"].is_string())),
    }
}
