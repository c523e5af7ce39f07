//! A dataset: the root group, its subjects and their volumes.

use std::path::{Path, PathBuf};

use super::DOCUMENT;
use super::array::ArrayShape;
use super::documents::{self, VERSION};
use super::generation;
use super::name::{self, VolumeName};
use super::staging::{self, group_key};
use super::volume::Volume;
use super::writer::VolumeWriter;
use crate::disk::{Disk, is_absent};
use crate::layout::ChunkLayout;
use crate::{Error, Result};

/// How often opening is tried again when a document is listed but cannot be read.
const TRIES: usize = 100;

/// The root of stored volumes. Cheap to clone; holds no open files.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub(super) disk: Disk,
}

impl Dataset {
    /// Opens an existing dataset in a local folder.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotVoxpatch`], [`Error::VersionTooNew`], [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_on(Disk::local(path.as_ref())?)
    }

    /// A dataset to convert into. If the folder does not exist, the first volume creates it.
    ///
    /// # Errors
    /// [`Error::NotVoxpatch`] if the folder holds other files, [`Error::VersionTooNew`],
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::create_on(Disk::local(path.as_ref())?)
    }

    /// As [`Self::open`], on any [`Disk`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(disk: Disk) -> Result<Self> {
        let path = disk.path("");
        for _ in 0..TRIES {
            if let Some((document, _)) = disk.document(DOCUMENT)? {
                check_role(&document, "dataset", disk.path(DOCUMENT))?;
                return Ok(Self { disk });
            }
            let there = inside(&disk)?;
            if !is_of_others(&disk, &there)? {
                return Err(Error::NotFound { what: "store", path });
            }
            // Otherwise another process has just written the document.
            if disk.document(DOCUMENT)?.is_none() {
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
    pub fn create_on(disk: Disk) -> Result<Self> {
        match Self::open_on(disk.clone()) {
            Err(Error::NotFound { .. }) => Ok(Self { disk }),
            opened => opened,
        }
    }

    /// The path of the dataset.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.disk.path("")
    }

    /// Names of the subjects that have a volume, sorted. Lists the folder of each.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn subjects(&self) -> Result<Vec<String>> {
        let mut subjects = self.folders("")?;
        let mut failed = Ok(());
        subjects.retain(|subject| match self.images_of(subject) {
            Ok(images) => !images.is_empty(),
            Err(error) => {
                failed = Err(error);
                false
            }
        });
        failed.map(|()| subjects)
    }

    /// Names of a subject's images, sorted.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Io`].
    pub fn images(&self, subject: &str) -> Result<Vec<String>> {
        // Checks the name before it becomes part of a path.
        VolumeName::new(subject, "image")?;
        let images = self.images_of(subject)?;
        if images.is_empty() {
            return Err(Error::NotFound { what: "subject", path: self.disk.path(subject) });
        }
        Ok(images)
    }

    /// Every volume, sorted by subject, then image.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn volumes(&self) -> Result<Vec<VolumeName>> {
        let mut volumes = Vec::new();
        for subject in self.folders("")? {
            for image in self.images_of(&subject)? {
                volumes.push(VolumeName::new(&subject, image)?);
            }
        }
        Ok(volumes)
    }

    /// Opens a volume by its name, `SUBJECT/IMAGE`. Reads four small files, no voxels.
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

    /// Refuses a name whose volume exists and must not be replaced.
    pub(crate) fn check_free(&self, name: &VolumeName, replace: bool) -> Result<()> {
        staging::replaced(&self.disk, name, replace).map(drop)
    }

    /// Begins to write a volume.
    pub(crate) fn write_volume(
        &self,
        name: &VolumeName,
        shape: ArrayShape,
        layout: ChunkLayout,
        replace: bool,
    ) -> Result<VolumeWriter> {
        VolumeWriter::begin(&self.disk, name, shape, layout, replace)
    }

    /// Images of a subject, sorted: folders with a document, or with the files of a volume of
    /// format version 1 or 2 that has lost its document, so that the loss is reported. A folder
    /// with nothing but generations is not listed: a volume under construction, or the remains of
    /// one.
    fn images_of(&self, subject: &str) -> Result<Vec<String>> {
        let mut images = Vec::new();
        for image in self.folders(subject)? {
            let key = format!("{subject}/{image}");
            match self.disk.list(&key) {
                Ok(inside) => {
                    if inside.iter().any(|name| name == DOCUMENT || name == "0") {
                        images.push(image);
                    }
                }
                // The key is a file.
                Err(e) if is_absent(&e) => {}
                // A folder that cannot be listed may hold images: a shorter answer would be wrong.
                Err(source) => {
                    return Err(Error::Io { action: "list", path: self.disk.path(&key), source });
                }
            }
        }
        Ok(images)
    }

    /// Names in a folder that a subject or an image may have.
    pub(super) fn folders(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = self.listed(folder)?;
        names.retain(|name| name::is_valid(name) && name != DOCUMENT);
        Ok(names)
    }

    /// All names directly inside a folder; none if there is no such folder.
    pub(super) fn listed(&self, folder: &str) -> Result<Vec<String>> {
        match self.disk.list(folder) {
            // A file, or a folder that has vanished meanwhile.
            Err(e) if is_absent(&e) => Ok(Vec::new()),
            names => names.map_err(Error::io("list", self.disk.path(folder))),
        }
    }

    /// The damage of the group document of a subject or, for an empty `folder`, of the dataset, if
    /// any.
    pub(super) fn group_damage(&self, folder: &str, role: &str) -> Option<Error> {
        let key = group_key(folder);
        let path = self.disk.path(&key);
        let document = match self.disk.document(&key) {
            Ok(Some((document, _))) => document,
            Ok(None) => return Some(Error::corrupt_store(path, "the document is missing")),
            Err(error) => return Some(error),
        };
        let remedy = "remove it, and the next volume that is converted writes it anew";
        match documents::check_group(&document) {
            Err(reason) => Some(Error::corrupt_store(path, format!("{reason}: {remedy}"))),
            Ok(()) => check_role(&document, role, path).err(),
        }
    }
}

/// Names directly inside a dataset's folder; none if the folder does not exist.
fn inside(disk: &Disk) -> Result<Vec<String>> {
    disk.list("").map_err(|e| match e.kind() {
        std::io::ErrorKind::NotADirectory => {
            let reason = "it is a file, or lies below one, and a store is a folder; name another";
            Error::NotVoxpatch { what: "store", path: disk.path(""), reason: reason.into() }
        }
        _ => Error::io("list", disk.path(""))(e),
    })
}

/// Whether a folder without a dataset's document, which contains `there`, belongs to other
/// programs. Hidden names, and subjects with nothing but generations, are left by a writer that is
/// killed before its first volume is complete.
fn is_of_others(disk: &Disk, there: &[String]) -> Result<bool> {
    let is_hidden = |name: &str| name.starts_with('.');
    // False for a file.
    let all_are = |key: &str, is_begun: &dyn Fn(&str) -> Result<bool>| match disk.list(key) {
        Err(e) if is_absent(&e) => Ok(false),
        Err(source) => Err(Error::Io { action: "list", path: disk.path(key), source }),
        Ok(names) => names.iter().try_fold(true, |all, name| Ok(all && is_begun(name)?)),
    };
    let is_image =
        |key: &str| all_are(key, &|name: &str| Ok(is_hidden(name) || generation::is_id(name)));
    let is_subject = |subject: &str| {
        all_are(subject, &|image: &str| {
            Ok(is_hidden(image) || is_image(&format!("{subject}/{image}"))?)
        })
    };
    there.iter().try_fold(false, |any, name| {
        let is_begun = is_hidden(name) || (name::is_valid(name) && is_subject(name)?);
        Ok(any || !is_begun)
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
