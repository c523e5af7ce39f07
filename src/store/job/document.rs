//! What a job is about: enough to go on with it, and to publish it, in another process.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::layout::ChunkLayout;
use crate::store::array::ArrayShape;
use crate::store::disk::Disk;
use crate::store::documents::Attributes;
use crate::store::{VolumeName, sealed};
use crate::{Error, Result};

/// The version written here, and the newest that is read.
const VERSION: u64 = 1;

/// Name of the content in the sealed document.
const NAME: &str = "job";

/// Most parts and outputs of a job: more are a mistake.
const MOST: usize = 1 << 16;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobDocument {
    version: u64,
    /// Whatever decides the voxels, in the words of whoever makes them.
    pub(crate) plan: Value,
    /// How many processes may share it.
    pub(crate) parts: usize,
    pub(crate) outputs: Vec<JobOutput>,
}

/// A volume that is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobOutput {
    /// `SUBJECT/IMAGE`.
    pub(crate) name: String,
    pub(crate) array: ArrayShape,
    /// With the statistics of no voxel yet.
    pub(crate) attributes: Attributes,
}

impl JobDocument {
    pub(crate) fn new(plan: Value, parts: usize, outputs: Vec<JobOutput>) -> Self {
        Self { version: VERSION, plan, parts, outputs }
    }

    /// The first output's, which is the job's too.
    pub(crate) fn name(&self) -> Result<VolumeName> {
        self.outputs[0].name()
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=MOST).contains(&self.parts) || !(1..=MOST).contains(&self.outputs.len()) {
            return Err("it has an impossible number of parts or outputs".into());
        }
        self.outputs.iter().try_for_each(JobOutput::check)
    }
}

impl JobOutput {
    pub(crate) fn name(&self) -> Result<VolumeName> {
        self.name.parse()
    }

    fn check(&self) -> Result<(), String> {
        let ChunkLayout { chunk, shard, frames, codec } = self.attributes.layout;
        if frames != [1; 2] {
            return Err(format!("{} has shards of several frames", self.name));
        }
        let layout = ChunkLayout::new(chunk, shard, codec);
        let of = [self.array.times, self.array.channels];
        let fits = layout.and_then(|layout| layout.check_for(self.array.shape, of));
        fits.and_then(|()| self.name()).map_err(|error| error.to_string())?;
        if self.array.bytes_as(self.array.dtype).is_none() || self.array.times != 1 {
            return Err(format!("{} has an impossible shape", self.name));
        }
        Ok(())
    }
}

/// The document in the folder of a job; `None` if there is none.
pub(super) fn read(disk: &dyn Disk, folder: &str) -> Result<Option<JobDocument>> {
    let key = format!("{folder}/job.json");
    let path = disk.path(&key);
    let bytes = match disk.read(&key) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(Error::io("read", &path))?,
    };
    let understood = || {
        let content = sealed::open(NAME, &bytes)?;
        let value: Value = serde_json::from_str(content).map_err(|e| e.to_string())?;
        if value["version"].as_u64().is_some_and(|version| version > VERSION) {
            return Err("it was begun by a newer version of voxpatch: finish it with that".into());
        }
        let document: JobDocument = serde_json::from_value(value).map_err(|e| e.to_string())?;
        document.check().map(|()| document)
    };
    understood().map(Some).map_err(|reason| Error::corrupt_store(path, reason))
}

pub(super) fn write(disk: &dyn Disk, folder: &str, document: &JobDocument) -> Result<()> {
    write_sealed(disk, &format!("{folder}/job.json"), NAME, document)
}

pub(super) fn write_sealed(
    disk: &dyn Disk,
    key: &str,
    name: &str,
    content: &impl Serialize,
) -> Result<()> {
    let path = disk.path(key);
    let bytes = sealed::seal(name, content).map_err(|e| Error::Store {
        action: "write",
        path: path.clone(),
        source: e.into(),
    })?;
    disk.write(key, &[&bytes]).map_err(Error::io("write", path))
}
