//! The outputs of predictions: for `aggregate` and `finalise`.

use std::str::FromStr;

use clap::Args;
use voxpatch::VolumeName;
use voxpatch::aggregate::{Overwrite, Values};
use voxpatch::layout::{Access, ChunkLayout, Codec, WeightedPatch, Workload};

use super::{CodecChoice, values};

/// What outputs may replace.
#[derive(Debug, Args)]
pub struct Replace {
    /// Replace existing predictions, which stay until the new ones are complete.
    #[arg(long)]
    overwrite: bool,
    /// Replace any existing volume, also scans and label maps, which nothing in the store can make
    /// again.
    #[arg(long)]
    overwrite_source: bool,
}

impl Replace {
    pub const fn overwrite(&self) -> Overwrite {
        match (self.overwrite_source, self.overwrite) {
            (true, _) => Overwrite::Anything,
            (_, true) => Overwrite::Predictions,
            _ => Overwrite::Nothing,
        }
    }
}

/// The layout of outputs.
#[derive(Debug, Args)]
pub struct OutputLayout {
    /// The codec of the outputs, as for convert. auto takes the fastest for scores and the smallest
    /// for labels, by type alone.
    #[arg(long, value_name = "CODEC[:LEVEL]", default_value = "auto")]
    pub codec: CodecChoice,
    /// Shape of a chunk of the outputs.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape)]
    pub chunk: Option<[usize; 3]>,
    /// Shape of a shard of the outputs: a whole number of chunks along each axis.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape)]
    pub shard: Option<[usize; 3]>,
    /// Patches that will be read of the outputs, for which their layout is chosen; repeat for each
    /// shape. By default patches of the shape of a prediction.
    #[arg(long, value_name = "ZxYxX[:WEIGHT]")]
    pub read_patch: Vec<WeightedPatch>,
}

impl OutputLayout {
    pub fn codec(&self) -> Option<Codec> {
        match self.codec {
            CodecChoice::Auto => None,
            CodecChoice::Given(codec) => Some(codec),
        }
    }

    pub fn workload(&self) -> voxpatch::Result<Option<Workload>> {
        let some = Some(self.read_patch.clone()).filter(|patches| !patches.is_empty());
        some.map(|patches| Workload::new(patches, Access::Random)).transpose()
    }

    pub fn check(&self) -> voxpatch::Result<()> {
        let Some(chunk) = self.chunk else { return Ok(()) };
        let codec = self.codec().unwrap_or_default();
        ChunkLayout::new(chunk, self.shard.unwrap_or(chunk), codec).map(drop)
    }
}

/// `IMAGE=VALUES[@HEAD]`.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedOutput {
    pub image: String,
    pub values: Values,
    pub head: usize,
}

impl FromStr for NamedOutput {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected IMAGE=VALUES or IMAGE=VALUES@HEAD, such as predicted=argmax@1";
        let (image, values) = text.split_once('=').ok_or(expected)?;
        let (values, head) = values.split_once('@').unwrap_or((values, "0"));
        // The subject is the volume's.
        VolumeName::new("subject", image).map_err(|e| e.to_string())?;
        Ok(Self {
            image: image.to_owned(),
            values: values.parse().map_err(|e: voxpatch::Error| e.to_string())?,
            head: head.parse().map_err(|_| expected)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_have_a_name_values_and_perhaps_a_head() {
        let parsed: NamedOutput = "organs=argmax@2".parse().unwrap();
        assert_eq!((&parsed.image[..], parsed.head), ("organs", 2));
        let parsed: NamedOutput = "p=uint8:0.5".parse().unwrap();
        assert_eq!((parsed.values, parsed.head), (Values::UInt8 { scale: 0.5 }, 0));
        for wrong in ["organs", "=argmax", "a/b=argmax", "a=int9", "a=argmax@", "a=argmax@-1"] {
            assert!(wrong.parse::<NamedOutput>().is_err(), "{wrong}");
        }
    }
}
