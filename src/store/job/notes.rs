//! Notes that processes of a job leave for each other, each a sealed document.

use serde_json::Value;

use super::state::Begun;
use super::{Dataset, Job};
use crate::disk::Disk;
use crate::store::VolumeName;
use crate::store::sealed;
use crate::{Error, Result};

/// Facts about an unfinished job, by name. They are removed with the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// The model's answer to the patch in the middle, by which another model is recognised.
    Fingerprint,
    /// The reason why the voxels of a part, by index, may be wrong.
    Doubt(usize),
}

impl Note {
    /// Name of the content in the sealed document.
    const fn name(self) -> &'static str {
        match self {
            Self::Fingerprint => "fingerprint",
            Self::Doubt(_) => "doubt",
        }
    }

    fn key(self, job: &Begun) -> String {
        match self {
            Self::Fingerprint => job.key("fingerprint.json"),
            Self::Doubt(part) => job.key(&format!("doubt-{part}.json")),
        }
    }
}

impl Job {
    /// Leaves a note, unless it exists: the first process wins. Gives the note that exists then.
    pub(crate) fn note(&self, note: Note, content: &Value) -> Result<Value> {
        let key = note.key(&self.begun);
        let document = sealed::seal(note.name(), content).expect("a note is JSON");
        let swapped = self.disk.sink()?.swap(&key, None, Some(&document));
        if let Some(there) = read(&self.disk, &self.begun, note)? {
            return Ok(there);
        }
        let _ = swapped.map_err(Error::io("write", self.disk.path(&key)))?;
        Ok(content.clone())
    }

    /// Removes a note.
    pub(crate) fn forget(&self, note: Note) -> Result<()> {
        let key = note.key(&self.begun);
        let Some((_, version)) = self.disk.document(&key)? else { return Ok(()) };
        let swapped = self.disk.sink()?.swap(&key, Some(&version), None);
        swapped.map(drop).map_err(Error::io("remove", self.disk.path(&key)))
    }
}

impl Dataset {
    /// Refuses a job with a part that may be wrong.
    pub(crate) fn check_doubt(&self, job: &VolumeName, parts: usize) -> Result<()> {
        (0..parts).try_for_each(|part| self.check_doubt_of(job, part))
    }

    /// Refuses a part, by index, that may be wrong.
    pub(crate) fn check_doubt_of(&self, name: &VolumeName, part: usize) -> Result<()> {
        let Some(job) = Begun::find(&self.disk, name)? else { return Ok(()) };
        let Some(reason) = read(&self.disk, &job, Note::Doubt(part))? else { return Ok(()) };
        let path = self.disk.path(&name.to_string());
        let reason = format!(
            "the voxels of part {} may be wrong: {}. Restart the part, or resume in spite of the \
             doubt if all earlier answers were right",
            part + 1,
            reason.as_str().unwrap_or("its last run did not end as it should")
        );
        Err(Error::InDoubt { path, reason })
    }
}

/// A note of a job; `None` if there is none.
fn read(disk: &Disk, job: &Begun, note: Note) -> Result<Option<Value>> {
    let key = note.key(job);
    let Some((bytes, _)) = disk.document(&key)? else { return Ok(None) };
    let content = sealed::open(note.name(), &bytes)
        .and_then(|content| serde_json::from_str(content).map_err(|e| e.to_string()));
    content.map(Some).map_err(|reason| Error::corrupt_store(disk.path(&key), reason))
}
