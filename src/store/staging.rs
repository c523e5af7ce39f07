//! A volume beside its place: its documents, and the step that publishes it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::array::ArrayShape;
use super::disk::Disk;
use super::documents::{self, Attributes};
use super::grid::ShardGrid;
use super::manifest::{self, Manifest, ShardRecord};
use super::name::VolumeName;
use super::ome::Image;
use super::sampling::{self, SamplingIndex};
use super::{DOCUMENT, digest};
use crate::layout::ChunkLayout;
use crate::{Error, Kind, Result};

/// Largest number of files of one volume: more would be a burden to any file system.
const MAX_SHARDS: usize = 1 << 18;

/// A hidden folder of the dataset in which a volume comes about.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) name: VolumeName,
    /// Its key.
    pub(super) folder: String,
    /// Whether a volume that is there already is to be replaced.
    pub(super) replace: bool,
}

impl Staging {
    pub(super) fn write(&self, key: &str, parts: &[&[u8]]) -> Result<()> {
        let key = format!("{}/{key}", self.folder);
        self.disk.write(&key, parts).map_err(Error::io("write", self.disk.path(&key)))
    }

    pub(super) fn remove(&self) -> Result<()> {
        let path = self.disk.path(&self.folder);
        self.disk.remove(&self.folder).map_err(Error::io("remove", path))
    }

    /// Where the volume is to be.
    pub(super) fn target(&self) -> PathBuf {
        self.disk.path(&self.name.to_string())
    }

    /// Writes the index for sampling.
    pub(super) fn write_index(&self, index: &SamplingIndex) -> Result<()> {
        let path = self.disk.path(&format!("{}/{}", self.folder, sampling::KEY));
        self.write(sampling::KEY, &[&index.to_bytes(&path)?])
    }

    /// Writes the metadata and, last, the manifest, and gives the manifest's digest. `voxels` is
    /// the digest of the decoded voxels, `shards` every shard of the grid.
    pub(super) fn seal(
        &self,
        shape: &ArrayShape,
        attributes: &Attributes,
        voxels: String,
        shards: Vec<ShardRecord>,
    ) -> Result<String> {
        let ome = Image {
            name: self.name.image(),
            has_time: shape.times > 1,
            has_channel: shape.channels > 1,
            affine: &attributes.affine,
            spacing: attributes.spacing,
            time_step: attributes.time_step,
            is_label: attributes.kind == Kind::Label,
            // From SUBJECT/IMAGE to the root, and down again.
            label_of: attributes.predicted_from.as_ref().map(|name| format!("../../{name}")),
        };
        let group = documents::volume_group(attributes, &ome);
        let array = documents::array(shape, &attributes.layout, &ome.dimension_names());
        self.write(DOCUMENT, &[&group])?;
        self.write(&format!("0/{DOCUMENT}"), &[&array])?;
        let indexed = list(&*self.disk, &format!("{}/0", self.folder))?
            .iter()
            .any(|name| sampling::KEY.ends_with(&format!("/{name}")));
        let manifest = Manifest {
            volume: Some(self.name.to_string()),
            indexed,
            voxels,
            group: digest::of_bytes(&group),
            array: digest::of_bytes(&array),
            shards,
        };
        let bytes = manifest.to_bytes().map_err(|e| Error::Store {
            action: "write the manifest",
            path: self.disk.path(&self.folder),
            source: e.into(),
        })?;
        self.write(manifest::KEY, &[&bytes])?;
        Ok(digest::of_bytes(&bytes))
    }

    /// The step from nothing, or the old volume, to the new one, whose manifest has the digest
    /// `seal`. While `keep` is set the folder may hold the volume that was replaced, and is not to
    /// be removed.
    pub(super) fn publish(&self, seal: &str, keep: &mut bool) -> Result<()> {
        let disk = &self.disk;
        disk.sync(&self.folder).map_err(Error::io("sync", disk.path(&self.folder)))?;
        // Held while groups are made, so that writers of other volumes of a new dataset do not
        // meet each other's half of it.
        let _root = disk.lock("", true).map_err(Error::io("lock", disk.path("")))?;
        let mut made = Vec::new();
        let placed = self.place(seal, &mut made, keep);
        if placed.is_err()
            && disk.list(&self.name.to_string()).is_ok_and(|inside| inside.is_empty())
        {
            // Best effort, as an empty group harms nobody.
            let _ = self.remove_groups(&made);
        }
        placed
    }

    /// Removes groups that were made for this volume alone. What is below a group is gone for good
    /// before its document goes: a subject in a dataset without one is in nobody's store.
    fn remove_groups(&self, made: &[String]) -> io::Result<()> {
        for folder in made.iter().rev() {
            self.disk.remove(&group_key(folder))?;
            if !folder.is_empty() {
                match self.disk.remove_empty(folder) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => self.disk.sync_names("")?,
                }
            }
        }
        Ok(())
    }

    /// Makes the groups on the way, noting them in `made`, and moves the volume into its place.
    fn place(&self, seal: &str, made: &mut Vec<String>, keep: &mut bool) -> Result<()> {
        let disk = &self.disk;
        let subject = self.name.subject();
        for (folder, role) in [("", "dataset"), (subject, "subject")] {
            if !list(&**disk, folder)?.iter().any(|name| name == DOCUMENT) {
                made.push(folder.to_owned());
                let key = group_key(folder);
                disk.write(&key, &[&documents::plain_group(role)])
                    .map_err(Error::io("write", disk.path(&key)))?;
            }
            // Whoever made it: nothing is in a group that may not be there after a power cut.
            self.sync_names(folder)?;
        }
        let target = self.name.to_string();
        let path = disk.path(&target);
        if self.replace && !list(&**disk, &target)?.is_empty() {
            // What is staged from here on is the old volume, or may be. It goes only when the
            // exchange is durable.
            *keep = true;
            disk.exchange(&self.folder, &target).map_err(|source| {
                // Unless it is known that the old volume is where it was.
                *keep = !self.in_place().is_ok_and(|there| there != seal);
                Error::Io { action: "replace", path, source }
            })?;
        } else {
            disk.rename(&self.folder, &target).map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => {
                    Error::AlreadyExists { path }
                }
                _ => Error::Io { action: "publish", path, source },
            })?;
        }
        self.sync_parents()?;
        *keep = false;
        Ok(())
    }

    /// Makes durable that the volume is in its place, and not where it was staged.
    pub(super) fn sync_parents(&self) -> Result<()> {
        let above = self.folder.rsplit_once('/').map_or("", |(above, _)| above);
        let folders = [self.name.subject(), "", above];
        let folders = if above.is_empty() { &folders[..2] } else { &folders };
        folders.iter().try_for_each(|folder| self.sync_names(folder))
    }

    fn sync_names(&self, folder: &str) -> Result<()> {
        self.disk.sync_names(folder).map_err(Error::io("sync", self.disk.path(folder)))
    }

    /// Whether the volume whose manifest has this digest is in its place.
    pub(super) fn is_published(&self, seal: &str) -> bool {
        self.in_place().is_ok_and(|there| there == seal)
    }

    /// The digest of the manifest of the volume that is in its place.
    fn in_place(&self) -> io::Result<String> {
        let manifest = self.disk.read(&format!("{}/{}", self.name, manifest::KEY))?;
        Ok(digest::of_bytes(&manifest))
    }

    /// Finds out before the work is done whether the old volume can be replaced in one step.
    pub(super) fn probe_exchange(&self) -> Result<()> {
        let folders = ["a", "b"].map(|name| format!("{}/probe-{name}", self.folder));
        let tried = folders
            .iter()
            .try_for_each(|folder| self.disk.write(&format!("{folder}/file"), &[]))
            .and_then(|()| self.disk.exchange(&folders[0], &folders[1]))
            .and_then(|()| self.disk.remove(&self.folder));
        if tried.is_err() {
            let _ = self.disk.remove(&self.folder);
        }
        tried.map_err(Error::io(
            "replace in one step, which this file system may not offer (remove the old volume first)",
            self.target(),
        ))
    }
}

/// Whether a volume is there. It is an error if it is not to be replaced.
pub(super) fn is_taken(disk: &dyn Disk, name: &VolumeName, replace: bool) -> Result<bool> {
    let target = name.to_string();
    let taken = !list(disk, &target)?.is_empty();
    if taken && !replace {
        return Err(Error::AlreadyExists { path: disk.path(&target) });
    }
    Ok(taken)
}

/// Shards of all frames of a volume, if it can have so many.
pub(super) fn count_shards(shape: &ArrayShape, layout: &ChunkLayout) -> Result<usize> {
    let shards = ShardGrid::new(shape, layout).len();
    if shards > MAX_SHARDS {
        let reason = format!(
            "{shards} shards, each a file, are more than {MAX_SHARDS}; use larger shards, or fewer \
             time points and channels in one volume"
        );
        return Err(Error::InvalidLayout { reason });
    }
    Ok(shards)
}

/// Key of a folder's group document; the dataset itself is the empty key.
pub(super) fn group_key(folder: &str) -> String {
    if folder.is_empty() { DOCUMENT.to_owned() } else { format!("{folder}/{DOCUMENT}") }
}

fn list(disk: &dyn Disk, key: &str) -> Result<Vec<String>> {
    disk.list(key).map_err(Error::io("list", disk.path(key)))
}
