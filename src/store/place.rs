//! A path that ends inside a dataset: `STORE`, `STORE/SUBJECT` or `STORE/SUBJECT/IMAGE`.

use std::iter;
use std::path::Path;

use super::{Dataset, VerifyReport, Volume, VolumeName};
use crate::disk::is_absent;
use crate::{Error, Pool, Result};

/// A dataset and, if the path goes further, one subject or one volume of it.
#[derive(Debug, Clone)]
pub struct Place {
    dataset: Dataset,
    subject: Option<String>,
    image: Option<String>,
}

impl Place {
    /// Finds the dataset at or above a path. The subject and the volume are not looked up yet.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the path does not exist, [`Error::NotVoxpatch`] if neither the path
    /// nor one of the two folders above it is a dataset, [`Error::VersionTooNew`], [`Error::Io`].
    pub fn find(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match path.to_string_lossy().split_once("?mode=").filter(|_| !path.exists()) {
            None => Self::find_plain(path),
            Some((before, after)) => {
                // After the store, or at the end of the path.
                let (mode, below) = after.split_once('/').unwrap_or((after, ""));
                let place = Self::find_plain(&Path::new(before).join(below))?;
                let root = format!("{}?mode={mode}", place.dataset.path().display());
                Ok(Self { dataset: Dataset::open(root)?, ..place })
            }
        }
    }

    fn find_plain(path: &Path) -> Result<Self> {
        if path.is_file() {
            let reason = "it is a file; a store is a folder, made by convert".into();
            return Err(Error::NotVoxpatch { what: "store", path: path.into(), reason });
        }
        let first = match Dataset::open(path) {
            Err(error @ (Error::NotFound { .. } | Error::NotVoxpatch { .. })) => error,
            dataset => return Ok(Self { dataset: dataset?, subject: None, image: None }),
        };
        // The given path comes first, so that messages show it if possible. The canonical path
        // resolves `..`, and requires that the path exists.
        let full = [std::path::absolute(path), path.canonicalize()].into_iter().flatten();
        for path in iter::once(path.to_owned()).chain(full) {
            if let Some(place) = Self::inside(&path)? {
                return Ok(place);
            }
        }
        Err(first)
    }

    /// Looks for a dataset one and two folders above, by the components of the path alone.
    fn inside(path: &Path) -> Result<Option<Self>> {
        let mut parts: Vec<String> = Vec::new();
        let mut root = path;
        while parts.len() < 2
            && let (Some(name), Some(above)) = (root.file_name(), root.parent())
        {
            parts.insert(0, name.to_string_lossy().into_owned());
            root = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            match Dataset::open(root) {
                Ok(dataset) => {
                    let mut parts = parts.into_iter();
                    return Ok(Some(Self { dataset, subject: parts.next(), image: parts.next() }));
                }
                Err(Error::NotFound { .. } | Error::NotVoxpatch { .. }) => {}
                // There is no dataset above a file.
                Err(Error::Io { source, .. }) if is_absent(&source) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The dataset.
    #[must_use]
    pub const fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Whether the path names one volume.
    #[must_use]
    pub const fn is_volume(&self) -> bool {
        self.image.is_some()
    }

    /// Whether the path names the dataset itself.
    #[must_use]
    pub const fn is_store(&self) -> bool {
        self.subject.is_none()
    }

    /// Checks the volumes of this place as [`Dataset::verify`] does; for a dataset or a subject,
    /// also that no complete volume has lost its document.
    ///
    /// # Errors
    /// Those of [`Dataset::verify`] and of [`Place::volumes`].
    pub fn verify(
        &self,
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<VerifyReport> {
        let lost = if self.is_volume() {
            Vec::new()
        } else {
            self.dataset.lost(self.subject.as_deref())?
        };
        let names = match self.volumes() {
            // The subject has only lost volumes.
            Err(Error::NotFound { .. }) if !lost.is_empty() => Vec::new(),
            names => names?,
        };
        let mut volumes = self.dataset.verify_volumes(&names, pool, progress)?;
        volumes.extend(lost);
        Ok(VerifyReport { volumes })
    }

    /// The volumes of this place, sorted: those of the dataset, those of the subject, or the one
    /// volume.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an impossible name, [`Error::NotFound`], [`Error::Io`].
    pub fn volumes(&self) -> Result<Vec<VolumeName>> {
        let Some(subject) = &self.subject else { return self.dataset.volumes() };
        let mut images = self.dataset.images(subject)?;
        if let Some(image) = &self.image {
            let name = VolumeName::new(subject, image)?;
            images.retain(|stored| stored == image);
            if images.is_empty() {
                let path = self.dataset.path().join(name.to_string());
                return Err(Error::NotFound { what: "volume", path });
            }
        }
        images.into_iter().map(|image| VolumeName::new(subject, image)).collect()
    }

    /// The name of the one volume, whether it exists or not.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the path does not name one.
    pub fn name(&self) -> Result<VolumeName> {
        if let (Some(subject), Some(image)) = (&self.subject, &self.image) {
            return VolumeName::new(subject, image);
        }
        let store = self.dataset.path();
        let given = self.subject.as_ref().map_or_else(|| store.clone(), |name| store.join(name));
        let reason = "does not name a volume; write it as STORE/SUBJECT/IMAGE (info lists them)";
        Err(Error::invalid("volume", given.display(), reason))
    }

    /// Opens the one volume.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the path does not name one, and those of
    /// [`Dataset::open_volume`].
    pub fn volume(&self) -> Result<Volume> {
        self.dataset.open_volume(&self.name()?)
    }
}
