//! A dataset: the root group, its subjects and their volumes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DOCUMENT;
use super::array::ArrayShape;
use super::disk::{Disk, is_absent};
use super::documents::{self, VERSION};
use super::local::LocalDisk;
use super::name::{self, VolumeName};
use super::staging::{self, group_key};
use super::volume::Volume;
use super::writer::VolumeWriter;
use crate::layout::ChunkLayout;
use crate::{Error, Result};

/// How often a document is looked for that is listed and cannot be found.
const TRIES: usize = 100;

/// The root of stored volumes. Cheap to clone; holds no open files.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub(super) disk: Arc<dyn Disk>,
}

impl Dataset {
    /// Opens an existing dataset in a local folder.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotVoxpatch`], [`Error::VersionTooNew`], [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_on(Arc::new(LocalDisk::new(path.as_ref())))
    }

    /// A dataset to convert into. If the folder does not exist, it is made with the first volume.
    ///
    /// # Errors
    /// [`Error::NotVoxpatch`] if something else is there, [`Error::VersionTooNew`], [`Error::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::create_on(Arc::new(LocalDisk::new(path.as_ref())))
    }

    /// As [`Self::open`], on any [`Disk`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(disk: Arc<dyn Disk>) -> Result<Self> {
        let path = disk.path("");
        for _ in 0..TRIES {
            match disk.read(DOCUMENT) {
                Err(e) if is_absent(&e) => {}
                document => {
                    let document = document.map_err(Error::io("read", disk.path(DOCUMENT)))?;
                    check_role(&document, "dataset", disk.path(DOCUMENT))?;
                    return Ok(Self { disk });
                }
            }
            let there = inside(&*disk)?;
            // The hidden folders are what a killed writer leaves behind.
            if there.iter().all(|name| name.starts_with('.')) {
                return Err(Error::NotFound { what: "store", path });
            }
            // Else somebody has just made it.
            if !there.iter().any(|name| name == DOCUMENT) {
                break;
            }
        }
        let reason = format!("there is no {DOCUMENT}");
        Err(Error::NotVoxpatch { what: "store", path, reason })
    }

    /// As [`Self::create`], on any [`Disk`].
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_on(disk: Arc<dyn Disk>) -> Result<Self> {
        match Self::open_on(Arc::clone(&disk)) {
            Err(Error::NotFound { .. }) => Ok(Self { disk }),
            opened => opened,
        }
    }

    /// Where the dataset is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.disk.path("")
    }

    /// Names of the subjects, sorted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn subjects(&self) -> Result<Vec<String>> {
        self.groups("")
    }

    /// Names of a subject's volumes, sorted.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Io`].
    pub fn images(&self, subject: &str) -> Result<Vec<String>> {
        // Checks the name before it becomes part of a path.
        VolumeName::new(subject, "image")?;
        if self.disk.list(subject).map_err(Error::io("list", self.disk.path(subject)))?.is_empty() {
            return Err(Error::NotFound { what: "subject", path: self.disk.path(subject) });
        }
        self.groups(subject)
    }

    /// Every volume, sorted by subject, then image.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn volumes(&self) -> Result<Vec<VolumeName>> {
        let mut volumes = Vec::new();
        for subject in self.subjects()? {
            for image in self.groups(&subject)? {
                volumes.push(VolumeName::new(&subject, image)?);
            }
        }
        Ok(volumes)
    }

    /// Opens a volume by its name, `SUBJECT/IMAGE`. Reads three small files, no voxels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an impossible name, [`Error::NotFound`],
    /// [`Error::CorruptStore`], [`Error::NotVoxpatch`], [`Error::VersionTooNew`], [`Error::Io`].
    pub fn volume(&self, name: &str) -> Result<Volume> {
        self.open_volume(&name.parse()?)
    }

    /// As [`Self::volume`], by a checked name.
    ///
    /// # Errors
    /// As [`Self::volume`].
    pub fn open_volume(&self, name: &VolumeName) -> Result<Volume> {
        Volume::open(&self.disk, name)
    }

    /// Refuses a name that is taken and not to be replaced.
    pub(crate) fn check_free(&self, name: &VolumeName, replace: bool) -> Result<()> {
        staging::is_taken(&*self.disk, name, replace).map(drop)
    }

    /// Begins to write a volume.
    pub(crate) fn write_volume(
        &self,
        name: &VolumeName,
        shape: ArrayShape,
        layout: ChunkLayout,
        replace: bool,
    ) -> Result<VolumeWriter> {
        VolumeWriter::begin(Arc::clone(&self.disk), name, shape, layout, replace)
    }

    /// Folders with something in them, whether or not it is a group still: a volume that lost its
    /// document is to be found damaged, not forgotten. Hidden folders are staging.
    fn groups(&self, folder: &str) -> Result<Vec<String>> {
        let names = self.disk.list(folder).map_err(Error::io("list", self.disk.path(folder)))?;
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut groups = Vec::new();
        for name in names.into_iter().filter(|name| name::is_valid(name) && name != DOCUMENT) {
            let key = format!("{prefix}{name}");
            match self.disk.list(&key) {
                Ok(inside) if inside.is_empty() => {}
                Ok(_) => groups.push(name),
                // A file.
                Err(e) if is_absent(&e) => {}
                // What cannot be listed is there all the same: a shorter answer would be wrong.
                Err(source) => {
                    return Err(Error::Io { action: "list", path: self.disk.path(&key), source });
                }
            }
        }
        Ok(groups)
    }

    /// What is wrong with the document of the dataset, the empty folder, or of a subject, if
    /// anything is.
    pub(super) fn group_damage(&self, folder: &str, role: &str) -> Option<Error> {
        let key = group_key(folder);
        let path = self.disk.path(&key);
        let document = match self.disk.read(&key) {
            Err(source) if is_absent(&source) => {
                return Some(Error::corrupt_store(path, "the document is missing"));
            }
            Err(source) => return Some(Error::Io { action: "read", path, source }),
            Ok(document) => document,
        };
        let remedy = "remove it, and the next volume that is converted writes it anew";
        match documents::check_group(&document) {
            Err(reason) => Some(Error::corrupt_store(path, format!("{reason}: {remedy}"))),
            Ok(()) => check_role(&document, role, path).err(),
        }
    }
}

/// Names directly inside a dataset's folder; none if there is no such folder.
fn inside(disk: &dyn Disk) -> Result<Vec<String>> {
    disk.list("").map_err(|e| match e.kind() {
        std::io::ErrorKind::NotADirectory => {
            let reason = "it is a file, or lies below one, and a store is a folder; name another";
            Error::NotVoxpatch { what: "store", path: disk.path(""), reason: reason.into() }
        }
        _ => Error::io("list", disk.path(""))(e),
    })
}

fn check_role(document: &[u8], role: &str, path: PathBuf) -> Result<()> {
    let reason = match documents::attribute_of(document) {
        Ok(attribute) => {
            let found = attribute["version"].as_u64();
            match found {
                Some(found) if found > VERSION => {
                    return Err(Error::VersionTooNew { path, found, supported: VERSION });
                }
                Some(_) if attribute["role"] == role => return Ok(()),
                _ => format!("its voxpatch attribute is not that of a {role}"),
            }
        }
        Err(reason) => reason,
    };
    Err(Error::NotVoxpatch { what: "store", path, reason })
}
