//! What a job's makers leave to each other beside its document, each a sealed document of its own.

use serde_json::Value;

use super::document;
use super::{Dataset, Job};
use crate::store::VolumeName;
use crate::store::sealed;
use crate::{Error, Result};

/// Facts about an unfinished job, by name. They go with the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// How the model answered the patch in the middle, by which another model is noticed.
    Fingerprint,
    /// Why what a part, counted from 0, has written may be wrong.
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

    fn key(self, folder: &str) -> String {
        match self {
            Self::Fingerprint => format!("{folder}/fingerprint.json"),
            Self::Doubt(part) => format!("{folder}/doubt-{part}.json"),
        }
    }
}

impl Job {
    /// Leaves a note, unless there is one: of several processes the first is heard. Gives the note
    /// that is there then.
    pub(crate) fn note(&self, note: Note, content: &Value) -> Result<Value> {
        let _root = self.disk.lock("", true).map_err(Error::io("lock", self.disk.path("")))?;
        if let Some(there) = read(&*self.disk, &self.folder, note)? {
            return Ok(there);
        }
        let key = note.key(&self.folder);
        document::write_sealed(&*self.disk, &key, note.name(), content)?;
        let folder = self.disk.path(&self.folder);
        self.disk.sync_names(&self.folder).map_err(Error::io("sync", folder))?;
        Ok(content.clone())
    }

    /// Removes a note.
    pub(crate) fn forget(&self, note: Note) -> Result<()> {
        let key = note.key(&self.folder);
        self.disk.remove(&key).map_err(Error::io("remove", self.disk.path(&key)))?;
        let folder = self.disk.path(&self.folder);
        self.disk.sync_names(&self.folder).map_err(Error::io("sync", folder))
    }
}

impl Dataset {
    /// Refuses a job of which a part may be wrong.
    pub(crate) fn check_doubt(&self, job: &VolumeName, parts: usize) -> Result<()> {
        (0..parts).try_for_each(|part| self.check_doubt_of(job, part))
    }

    /// Refuses a part, counted from 0, that may be wrong.
    pub(crate) fn check_doubt_of(&self, job: &VolumeName, part: usize) -> Result<()> {
        let Some(reason) = self.job_note(job, Note::Doubt(part))? else { return Ok(()) };
        let path = self.disk.path(&job.to_string());
        let reason = format!(
            "what was written of part {} may be wrong: {}. Restart it, or go on in spite of the \
             doubt if all answers before that were right",
            part + 1,
            reason.as_str().unwrap_or("its last run did not end as it should")
        );
        Err(Error::InDoubt { path, reason })
    }

    /// A note of an unfinished job; `None` if there is none.
    fn job_note(&self, job: &VolumeName, note: Note) -> Result<Option<Value>> {
        read(&*self.disk, &super::folder_of(job), note)
    }
}

fn read(disk: &dyn super::Disk, folder: &str, note: Note) -> Result<Option<Value>> {
    let key = note.key(folder);
    let path = disk.path(&key);
    let bytes = match disk.read(&key) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(Error::io("read", &path))?,
    };
    let content = sealed::open(note.name(), &bytes)
        .and_then(|content| serde_json::from_str(content).map_err(|e| e.to_string()));
    content.map(Some).map_err(|reason| Error::corrupt_store(path, reason))
}
