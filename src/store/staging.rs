//! A generation under construction: its documents, and the step that publishes it.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use super::array::ArrayShape;
use super::documents::{self, Attributes, Extent, PointerTarget, VERSION};
use super::generation::Generation;
use super::grid::ShardGrid;
use super::manifest::{self, Manifest, ShardRecord};
use super::name::VolumeName;
use super::ome::Image;
use super::pointer::{self, Meaning, Pointer};
use super::sampling::{self, SamplingIndex};
use super::{DOCUMENT, digest, label_counts};
use crate::disk::{Disk, Swap, Version};
use crate::layout::ChunkLayout;
use crate::{Error, Kind, Result};

/// Largest number of shard files of one volume: more would burden any file system.
const MAX_SHARDS: usize = 1 << 18;

/// A generation that no pointer names yet.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) disk: Disk,
    pub(super) name: VolumeName,
    pub(super) generation: Generation,
}

/// A generation with all its files, some of which may wait to be flushed.
pub(super) struct Complete {
    ome: Value,
    pub(super) manifest: Extent,
}

impl Staging {
    pub(super) fn new(disk: &Disk, name: &VolumeName, generation: Generation) -> Self {
        Self { disk: disk.clone(), name: name.clone(), generation }
    }

    pub(super) fn write(&self, key: &str, parts: &[&[u8]]) -> Result<()> {
        let key = self.generation.key(key);
        self.disk.sink()?.put(&key, parts).map_err(Error::io("write", self.disk.path(&key)))
    }

    pub(super) fn remove(&self) -> Result<()> {
        let folder = self.generation.folder();
        let removed = self.disk.sink()?.delete(folder);
        removed.map_err(Error::io("remove", self.disk.path(folder)))
    }

    /// Writes the index for sampling.
    pub(super) fn write_index(&self, index: &SamplingIndex) -> Result<()> {
        let path = self.disk.path(&self.generation.key(sampling::KEY));
        self.write(sampling::KEY, &[&index.to_bytes(&path)?])
    }

    /// Writes the documents and, last, the manifest. `voxels` is the digest of the decoded voxels,
    /// `shards` every shard of the grid, `indexed` whether an index for sampling was written.
    pub(super) fn complete(
        &self,
        shape: &ArrayShape,
        attributes: &Attributes,
        voxels: String,
        shards: Vec<ShardRecord>,
        indexed: bool,
    ) -> Result<Complete> {
        let image = self.image(shape, attributes);
        let ome = image.attribute();
        let mut attribute = json!(attributes);
        if let Some(counts) = label_counts::take_out(&mut attribute) {
            self.write(label_counts::KEY, &[&counts])?;
        }
        let group = documents::generation_group(&attribute);
        let array = documents::array(shape, &attributes.layout, &image.dimension_names());
        self.write(DOCUMENT, &[&group])?;
        self.write(&format!("0/{DOCUMENT}"), &[&array])?;
        let manifest = Manifest {
            volume: Some(self.name.to_string()),
            generation: self.generation.id().map(str::to_owned),
            ome: Some(digest::of_json(&ome)),
            indexed,
            voxels,
            group: digest::of_bytes(&group),
            array: digest::of_bytes(&array),
            shards,
        };
        let bytes = manifest.to_bytes().map_err(|e| Error::Store {
            action: "write the manifest",
            path: self.disk.path(self.generation.folder()),
            source: e.into(),
        })?;
        self.write(manifest::KEY, &[&bytes])?;
        let manifest = Extent::of(&bytes);
        Ok(Complete { ome, manifest })
    }

    /// As [`Self::complete`], for documents that were written before with a manifest of this
    /// extent.
    pub(super) fn completed(
        &self,
        shape: &ArrayShape,
        attributes: &Attributes,
        manifest: Extent,
    ) -> Complete {
        Complete { ome: self.image(shape, attributes).attribute(), manifest }
    }

    fn image<'a>(&'a self, shape: &ArrayShape, attributes: &'a Attributes) -> Image<'a> {
        Image {
            name: self.name.image(),
            array: self.generation.id().map_or_else(|| "0".into(), |id| format!("{id}/0")),
            has_time: shape.times > 1,
            has_channel: shape.channels > 1,
            affine: &attributes.affine,
            spacing: attributes.spacing,
            time_step: attributes.time_step,
            is_label: attributes.kind == Kind::Label,
            // From SUBJECT/IMAGE up to the root, and down again.
            label_of: attributes.predicted_from.as_ref().map(|name| format!("../../{name}")),
        }
    }

    /// Refuses a generation of which a shard was removed after it was written: a writer that was
    /// suspended for long may have been swept.
    pub(super) fn check_whole(&self, shards: &[ShardRecord]) -> Result<()> {
        let written: Vec<&str> =
            shards.iter().filter(|shard| shard.file.is_some()).map(|shard| &*shard.key).collect();
        let folders: BTreeSet<&str> =
            written.iter().filter_map(|key| Some(key.rsplit_once('/')?.0)).collect();
        let mut there = HashSet::new();
        for folder in folders {
            let key = self.generation.key(format!("0/{folder}"));
            let names = self.disk.list(&key).map_err(Error::io("list", self.disk.path(&key)))?;
            there.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
        }
        let Some(lost) = written.into_iter().find(|key| !there.contains(*key)) else {
            return Ok(());
        };
        let path = self.disk.path(&self.generation.key(format!("0/{lost}")));
        let reason = "the shard was removed after it was written; convert the scan again";
        Err(Error::corrupt_store(path, reason))
    }

    /// Makes all files of the generation durable.
    pub(super) fn flush(&self) -> Result<()> {
        let folder = self.generation.folder();
        self.disk.sink()?.flush(folder).map_err(Error::io("sync", self.disk.path(folder)))
    }

    /// The step from nothing, or from the old volume, to the new one, all of whose files must be
    /// durable: replaces the pointer with the version `replaced`, or none, by one to this
    /// generation. Then the files of the old volume are removed.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] or [`Error::Conflict`] if the current pointer is another.
    pub(super) fn publish(&self, complete: &Complete, replaced: Option<&Pointer>) -> Result<()> {
        for (folder, role) in [("", "dataset"), (self.name.subject(), "subject")] {
            self.make_group(folder, role)?;
        }
        let target = PointerTarget {
            version: VERSION,
            generation: self.generation.id().unwrap_or_default().to_owned(),
            manifest: complete.manifest.clone(),
        };
        let (key, document) =
            (pointer::key(&self.name), documents::pointer(&complete.ome, &target));
        let expected = replaced.map(|pointer| &pointer.version);
        let swapped = self.swap(&key, expected, &document);
        // The answer of the swap may have been lost on the way, so the pointer is read again.
        if !matches!(swapped, Ok(Swap::Done)) && !self.is_published()? {
            let _ = swapped?;
            let path = self.disk.path(&self.name.to_string());
            return Err(match replaced {
                None => Error::AlreadyExists { path },
                Some(_) => Error::Conflict { path },
            });
        }
        if swapped.is_err() {
            // The pointer is there and may not be durable: the old volume must stay until it is.
            let folder = self.name.to_string();
            let flushed = self.disk.sink()?.flush(&folder);
            flushed.map_err(Error::io("sync", self.disk.path(&folder)))?;
        }
        if let Some(replaced) = replaced {
            // Errors are ignored: no reader looks there, and `Dataset::sweep` removes the rest.
            let _ = remove_files(&self.disk, &self.name, replaced);
        }
        Ok(())
    }

    /// Writes the document of a group, unless it exists.
    fn make_group(&self, folder: &str, role: &str) -> Result<()> {
        let key = group_key(folder);
        if self.disk.document(&key)?.is_none() {
            // If another writer was first, the group exists.
            let _ = self.swap(&key, None, &documents::plain_group(role))?;
        }
        Ok(())
    }

    fn swap(&self, key: &str, expected: Option<&Version>, new: &[u8]) -> Result<Swap> {
        let swapped = self.disk.sink()?.swap(key, expected, Some(new));
        swapped.map_err(Error::io("write", self.disk.path(key)))
    }

    /// Whether the volume's pointer names this generation.
    pub(super) fn is_published(&self) -> Result<bool> {
        let Some(pointer) = Pointer::read(&self.disk, &self.name)? else { return Ok(false) };
        let path = self.disk.path(&pointer::key(&self.name));
        // A pointer that cannot be understood belongs to another writer.
        Ok(matches!(
            pointer.meaning(&path),
            Ok(Meaning::Generation(target, _)) if Some(&*target.generation) == self.generation.id()
        ))
    }
}

/// Removes the files that a pointer, which no longer exists, has named.
pub(super) fn remove_files(disk: &Disk, name: &VolumeName, pointer: &Pointer) -> Result<()> {
    let delete =
        |key: String| disk.sink()?.delete(&key).map_err(Error::io("remove", disk.path(&key)));
    match pointer.meaning(&disk.path(&pointer::key(name)))? {
        Meaning::InPlace(_) => delete(format!("{name}/0")),
        Meaning::Generation(target, _) => match Generation::of(name, target.generation) {
            Some(generation) => delete(generation.folder().to_owned()),
            None => Ok(()),
        },
    }
}

/// The existing volume, if there is one; an error if it must not be replaced.
pub(super) fn replaced(disk: &Disk, name: &VolumeName, replace: bool) -> Result<Option<Pointer>> {
    let there = Pointer::read(disk, name)?;
    if there.is_some() && !replace {
        return Err(Error::AlreadyExists { path: disk.path(&name.to_string()) });
    }
    Ok(there)
}

/// Number of shards of all frames of a volume, if it is allowed.
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
