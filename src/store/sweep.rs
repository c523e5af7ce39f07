//! Removing what nobody names: what killed writers leave, and old volumes whose files could not be
//! removed when they were replaced.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::generation;
use super::job::PREFIX as JOB;
use super::name::VolumeName;
use super::pointer::{self, Meaning, Pointer};
use super::{DOCUMENT, Dataset};
use crate::disk::is_in_the_making;
use crate::{Error, Result};

/// What was swept.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct SweepReport {
    /// What was removed, or would be.
    pub removed: Vec<Swept>,
    /// What nobody names either, and is younger than what was asked for: perhaps a writer is at
    /// work.
    pub kept: Vec<Swept>,
}

/// Something that nobody names.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Swept {
    /// Where it is, or was.
    pub path: PathBuf,
    /// Bytes of all files.
    pub bytes: u64,
    /// Seconds since the last of it was written.
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
    /// Removes what no volume and no unfinished aggregation names, and nobody has written to for
    /// `older_than`: generations of writers that were killed, files in the making, and what earlier
    /// versions of voxpatch have left. With `dry_run`, only tells.
    ///
    /// A conversion writes every few seconds or minutes, and nobody names its files until it ends:
    /// an age of some hours leaves it in peace. Lists every folder of the dataset but those of
    /// shards.
    ///
    /// # Errors
    /// [`Error::CorruptStore`] if the document of an unfinished aggregation is damaged, so that
    /// nobody knows what it needs; [`Error::Io`].
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
            if !dry_run {
                // Looked up again: it may be named by now.
                if !self.is_unnamed(&key)? {
                    continue;
                }
                sink.delete(&key).map_err(Error::io("remove", &swept.path))?;
            }
            report.removed.push(swept);
        }
        Ok(report)
    }

    /// Keys of all that nobody names.
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
                let named = self.named_by(&name)?;
                let inside = self.list(&name.to_string())?;
                let ours = inside.into_iter().filter(|inside| {
                    let is_file = is_of_a_writer(inside) || generation::is_id(inside);
                    // Of a volume of format version 1 or 2 that was replaced.
                    let is_left = inside == "0" && named.as_ref().is_some_and(|n| n != "0");
                    (is_file || is_left) && Some(inside) != named.as_ref()
                });
                unnamed.extend(ours.map(|inside| format!("{name}/{inside}")));
                // Of documents, and of an index that was being built.
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

    /// Whether nobody names this now.
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
    /// If it is not understood: nobody knows what it names.
    fn named_by(&self, name: &VolumeName) -> Result<Option<String>> {
        let Some(there) = Pointer::read(&self.disk, name)? else { return Ok(None) };
        Ok(Some(match there.meaning(&self.disk.path(&pointer::key(name)))? {
            Meaning::InPlace(_) => "0".to_owned(),
            Meaning::Generation(target, _) => target.generation,
        }))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let names = match self.disk.list(folder) {
            // A file, or gone meanwhile.
            Err(e) if crate::disk::is_absent(&e) => return Ok(Vec::new()),
            names => names.map_err(Error::io("list", self.disk.path(folder)))?,
        };
        Ok(names.into_iter().filter(|name| name != DOCUMENT).collect())
    }
}

/// Whether a name is one that writers use for a while: files in the making, claims and locks, and
/// the folders in which earlier versions staged volumes.
fn is_of_a_writer(name: &str) -> bool {
    const PREFIXES: [&str; 5] = [".swap-", ".lock-", ".writing-", ".staging-", ".probe-"];
    is_in_the_making(name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
