//! How volumes are cut and compressed: for `convert` and `plan`.

use std::str::FromStr;

use clap::Args;
use voxpatch::Error;
use voxpatch::layout::{ChunkLayout, Codec, PlanOptions};

use super::values;

/// How voxels are cut and compressed. What is not given is planned from the patches.
#[derive(Debug, Args)]
pub struct Layout {
    /// How chunks are compressed, with a level if wanted: blosc-zstd:5, packed:1.
    ///
    /// blosc (default), blosc-lz4, blosc-lz4hc, blosc-zstd, zstd, gzip and none are read by every
    /// Zarr reader: choose one of them for stores that others open. packed is voxpatch's own, for
    /// integers of up to 32 bits: it is read by voxpatch and programs that link it, and by no other
    /// Zarr reader without its plug-in. packed:1 is mostly the fastest to read; larger is smaller
    /// (packed alone means packed:8), and packed:0 is the smallest. Float voxels that are whole
    /// numbers can be packed with --narrow.
    ///
    /// auto (convert only) tries several of them, packed too, on parts of the scan, shows how small
    /// they make these, and takes the one with the least time expected of a patch, stored bytes
    /// counted; where a codec that every reader knows does about as well, that one.
    #[arg(long, value_name = "CODEC[:LEVEL]")]
    pub codec: Option<CodecChoice>,
    /// Shape of a chunk, the unit that is compressed and read.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape)]
    pub chunk: Option<[usize; 3]>,
    /// Shape of a shard, a file of many chunks: a whole number of them along each axis.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape)]
    pub shard: Option<[usize; 3]>,
}

/// A codec, or the wish that one be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CodecChoice {
    Auto,
    Given(Codec),
}

impl FromStr for CodecChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Given).map_err(|error| match error {
                // The parser tells the value already.
                Error::InvalidArgument { reason, .. } if text.contains(':') => reason,
                Error::InvalidArgument { reason, .. } => {
                    format!("{reason}; or auto, to try several")
                }
                error => error.to_string(),
            }),
        }
    }
}

impl Layout {
    /// Whether a codec is to be found by trying.
    pub fn is_auto(&self) -> bool {
        self.codec == Some(CodecChoice::Auto)
    }

    /// As the planner takes them.
    pub fn options(&self) -> PlanOptions {
        let codec = match self.codec {
            Some(CodecChoice::Given(codec)) => codec,
            Some(CodecChoice::Auto) | None => Codec::default(),
        };
        PlanOptions::default().codec(codec).chunk(self.chunk).shard(self.shard)
    }

    /// What is wrong for every volume.
    pub fn conflict(&self) -> Option<String> {
        let PlanOptions { codec, chunk, shard, .. } = self.options();
        let layout = ChunkLayout::new(chunk?, shard.or(chunk)?, codec);
        layout.err().map(|error| error.to_string())
    }
}
