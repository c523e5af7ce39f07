//! The document of a job: enough to resume and publish the job in another process.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::layout::ChunkLayout;
use crate::store::array::ArrayShape;
use crate::store::documents::Attributes;
use crate::store::generation::Generation;
use crate::store::{VolumeName, sealed};
use crate::{Error, Result};

/// The version that is written, and the only one that can be resumed.
const VERSION: u64 = 2;

/// Name of the content in the sealed document.
const NAME: &str = "job";

/// Most parts and outputs of a job, to catch mistakes.
const MOST: usize = 1 << 16;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobDocument {
    version: u64,
    /// Everything that decides the voxels, as an opaque value of the aggregation.
    pub(crate) plan: Value,
    /// The number of parts, each for one process.
    pub(crate) parts: usize,
    pub(crate) outputs: Vec<JobOutput>,
}

/// A volume that the job makes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobOutput {
    /// `SUBJECT/IMAGE`.
    pub(crate) name: String,
    /// The generation that holds its shards.
    generation: String,
    pub(crate) array: ArrayShape,
    /// The attributes, with empty statistics.
    pub(crate) attributes: Attributes,
}

impl JobDocument {
    pub(crate) fn new(plan: Value, parts: usize, outputs: Vec<JobOutput>) -> Self {
        Self { version: VERSION, plan, parts, outputs }
    }

    /// The name of the first output, which is also the job's.
    pub(crate) fn name(&self) -> Result<VolumeName> {
        self.outputs[0].name()
    }

    /// The unique id of this job, which differs even between jobs of the same plan.
    pub(super) fn id(&self) -> &str {
        &self.outputs[0].generation
    }

    /// Whether both make the same volumes in the same way, in whatever generations.
    pub(crate) fn makes_the_same(&self, other: &Self) -> bool {
        let outputs = |document: &Self| -> Vec<_> {
            let outputs = document.outputs.iter().cloned();
            outputs.map(|o| (o.name, o.array, o.attributes)).collect()
        };
        (&self.plan, self.parts, outputs(self)) == (&other.plan, other.parts, outputs(other))
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=MOST).contains(&self.parts) || !(1..=MOST).contains(&self.outputs.len()) {
            return Err("it has an impossible number of parts or outputs".into());
        }
        self.outputs.iter().try_for_each(JobOutput::check)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        sealed::seal(NAME, self).expect("a document is JSON")
    }

    /// The document in a file, or the reason why it cannot be resumed.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let content = sealed::open(NAME, bytes)?;
        let value: Value = serde_json::from_str(content).map_err(|e| e.to_string())?;
        if value["version"].as_u64().is_some_and(|version| version != VERSION) {
            let reason = "it was begun by another version of voxpatch: finish it with that \
                          version, or discard it and begin anew";
            return Err(reason.into());
        }
        let document: Self = serde_json::from_value(value).map_err(|e| e.to_string())?;
        document.check().map(|()| document)
    }
}

impl JobOutput {
    /// An output with a new generation.
    pub(crate) fn new(name: &VolumeName, array: ArrayShape, attributes: Attributes) -> Self {
        let generation = Generation::new(name).id().unwrap_or_default().to_owned();
        Self { name: name.to_string(), generation, array, attributes }
    }

    pub(crate) fn name(&self) -> Result<VolumeName> {
        self.name.parse()
    }

    /// The generation of its shards.
    pub(super) fn generation(&self) -> Result<Generation> {
        Generation::of(&self.name()?, self.generation.clone()).ok_or_else(|| {
            Error::invalid("generation", &self.generation, "is not a name of a generation")
        })
    }

    fn check(&self) -> Result<(), String> {
        let ChunkLayout { chunk, shard, frames, codec } = self.attributes.layout;
        if frames != [1; 2] {
            return Err(format!("{} has shards of several frames", self.name));
        }
        let layout = ChunkLayout::new(chunk, shard, codec);
        let of = [self.array.times, self.array.channels];
        let fits = layout.and_then(|layout| layout.check_for(self.array.shape, of));
        fits.and_then(|()| self.generation()).map_err(|error| error.to_string())?;
        if self.array.bytes_as(self.array.dtype).is_none() || self.array.times != 1 {
            return Err(format!("{} has an impossible shape", self.name));
        }
        Ok(())
    }
}
