//! Removing files that no document names: remains of killed writers, and old volumes whose files
//! could not be removed when they were replaced.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::generation;
use super::job::PREFIX as JOB;
use super::lock;
use super::name::VolumeName;
use super::pointer::{self, Meaning, Pointer};
use super::{DOCUMENT, Dataset};
use crate::disk::{Held, is_in_the_making};
use crate::{Error, Result};

/// The result of a sweep.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct SweepReport {
    /// Files and folders that were removed, or would be.
    pub removed: Vec<Swept>,
    /// Others that no document names, but that are younger than `older_than`: a writer may be at
    /// work.
    pub kept: Vec<Swept>,
}

/// A file or folder that no document names.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Swept {
    /// Its path.
    pub path: PathBuf,
    /// Bytes of all files.
    pub bytes: u64,
    /// Seconds since the last write.
    pub age: u64,
}

impl SweepReport {
    /// Bytes of all that was removed, or would be.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.removed.iter().map(|swept| swept.bytes).sum()
    }
}

impl Dataset {
    /// Removes what no volume and no unfinished aggregation names, and what was not written to for
    /// `older_than`: generations of killed writers, temporary files, and remains of earlier
    /// versions of voxpatch. With `dry_run`, only reports.
    ///
    /// A conversion writes every few seconds or minutes, and no document names its files until it
    /// ends: choose an age of some hours. Lists every folder of the dataset except those of shards.
    ///
    /// # Errors
    /// [`Error::CorruptStore`] if the document of an unfinished aggregation is damaged, so that the
    /// files it needs are unknown; [`Error::Io`].
    pub fn sweep(&self, older_than: Duration, dry_run: bool) -> Result<SweepReport> {
        let mut report = SweepReport::default();
        for key in self.unnamed()? {
            let path = self.disk.path(&key);
            let sink = self.disk.sink()?;
            let Some(usage) = sink.usage(&key).map_err(Error::io("look at", &path))? else {
                continue;
            };
            let swept = Swept { path, bytes: usage.bytes, age: usage.age.as_secs() };
            if usage.age < older_than {
                report.kept.push(swept);
                continue;
            }
            // A writer of this machine may be suspended for long.
            let held = if let Some(name) = volume_of(&key) {
                lock::hold(&self.disk, &name)
            } else if key.starts_with(lock::PREFIX) {
                lock::hold_key(&self.disk, &key, &swept.path)
            } else {
                Ok(Held::new(()))
            };
            let held = match held {
                Err(Error::Busy { .. }) => {
                    report.kept.push(swept);
                    continue;
                }
                held => held?,
            };
            if !dry_run {
                // Checked again, because it may be named by now.
                if !self.is_unnamed(&key)? {
                    continue;
                }
                sink.delete(&key).map_err(Error::io("remove", &swept.path))?;
            }
            drop(held);
            report.removed.push(swept);
        }
        Ok(report)
    }

    /// Keys of everything that no document names.
    fn unnamed(&self) -> Result<Vec<String>> {
        let jobs = self.folders_of_jobs()?;
        let mut unnamed = Vec::new();
        for name in self.list("")? {
            if name.starts_with(JOB) {
                let inside = self.list(&name)?.into_iter().filter(|inside| inside != "job.json");
                unnamed.extend(inside.map(|inside| format!("{name}/{inside}")));
            } else if is_of_a_writer(&name) {
                unnamed.push(name);
            }
        }
        for subject in self.folders("")? {
            let hidden = self.list(&subject)?.into_iter().filter(|name| is_of_a_writer(name));
            unnamed.extend(hidden.map(|name| format!("{subject}/{name}")));
            for image in self.folders(&subject)? {
                // Names are checked before they become part of a path.
                let Ok(name) = VolumeName::new(&subject, &image) else { continue };
                // Of a document that is not understood nobody knows the files: all of them stay.
                let named = match self.named_by(&name) {
                    Err(
                        Error::NotVoxpatch { .. }
                        | Error::VersionTooNew { .. }
                        | Error::CorruptStore { .. },
                    ) => continue,
                    named => named?,
                };
                let inside = self.list(&name.to_string())?;
                let ours = inside.into_iter().filter(|inside| {
                    let is_file = is_of_a_writer(inside) || generation::is_id(inside);
                    // The files of a replaced volume of format version 1 or 2.
                    let is_left = inside == "0" && named.as_ref().is_some_and(|n| n != "0");
                    (is_file || is_left) && Some(inside) != named.as_ref()
                });
                unnamed.extend(ours.map(|inside| format!("{name}/{inside}")));
                // Folders of documents, and of an index that was being built.
                let folders = named.iter().flat_map(|named| [named.clone(), format!("{named}/0")]);
                for folder in folders {
                    let inside = self.list(&format!("{name}/{folder}"))?.into_iter();
                    let inside = inside.filter(|inside| is_of_a_writer(inside));
                    unnamed.extend(inside.map(|inside| format!("{name}/{folder}/{inside}")));
                }
            }
        }
        unnamed.retain(|key| !jobs.contains(key));
        Ok(unnamed)
    }

    /// Whether no document names this key now.
    fn is_unnamed(&self, key: &str) -> Result<bool> {
        let parts: Vec<&str> = key.split('/').collect();
        if let [subject, image, inside] = parts[..]
            && let Ok(name) = VolumeName::new(subject, image)
            && self.named_by(&name)?.as_deref() == Some(inside)
        {
            return Ok(false);
        }
        Ok(!self.folders_of_jobs()?.contains(key))
    }

    /// The folder that the document of a volume names, inside the volume's; `None` if there is no
    /// document.
    ///
    /// # Errors
    /// If the document cannot be understood, so that the folder is unknown.
    fn named_by(&self, name: &VolumeName) -> Result<Option<String>> {
        let Some(there) = Pointer::read(&self.disk, name)? else { return Ok(None) };
        Ok(Some(match there.meaning(&self.disk.path(&pointer::key(name)))? {
            Meaning::InPlace(_) => "0".to_owned(),
            Meaning::Generation(target, _) => target.generation,
        }))
    }

    /// Names of the files and folders in a folder, without its document.
    fn list(&self, folder: &str) -> Result<Vec<String>> {
        Ok(self.listed(folder)?.into_iter().filter(|name| name != DOCUMENT).collect())
    }
}

/// The volume that a key lies in.
fn volume_of(key: &str) -> Option<VolumeName> {
    let mut parts = key.split('/');
    let (subject, image, _) = (parts.next()?, parts.next()?, parts.next()?);
    VolumeName::new(subject, image).ok()
}

/// Whether a name is a temporary one of writers: files under construction, claims and locks, and
/// the folders in which earlier versions staged volumes.
fn is_of_a_writer(name: &str) -> bool {
    const PREFIXES: [&str; 5] = [".swap-", ".lock-", ".writing-", ".staging-", ".probe-"];
    is_in_the_making(name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
