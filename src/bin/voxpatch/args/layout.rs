//! The layout of volumes: for `convert` and `plan`.

use std::str::FromStr;

use clap::Args;
use voxpatch::Error;
use voxpatch::layout::{ChunkLayout, Codec, PlanOptions};

use super::values;

/// The layout of voxels. Unspecified parts are planned from the patches.
#[derive(Debug, Args)]
pub struct Layout {
    /// The codec of chunks, with an optional level: blosc-zstd:5, packed:1.
    ///
    /// Every Zarr reader reads blosc (default), blosc-lz4, blosc-lz4hc, blosc-zstd, zstd, gzip and
    /// none: choose one of them for stores that others open. packed is voxpatch's own codec for
    /// integers of up to 32 bits: only voxpatch, programs that link it, and Zarr readers with its
    /// plug-in read it. packed:1 is usually the fastest to read; larger numbers are smaller (packed
    /// alone means packed:8), and packed:0 is the smallest. Float voxels that are whole numbers can
    /// be packed with --narrow.
    ///
    /// auto (convert only) tries several codecs, including packed, on parts of the scan, shows
    /// their sizes, and chooses the least expected time of a patch, counting stored bytes; among
    /// nearly equal ones, a codec that every reader knows.
    #[arg(long, value_name = "CODEC[:LEVEL]")]
    pub codec: Option<CodecChoice>,
    /// Shape of a chunk, the unit that is compressed and read.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape)]
    pub chunk: Option<[usize; 3]>,
    /// Shape of a shard, a file of many chunks: a whole number of them along each axis.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape)]
    pub shard: Option<[usize; 3]>,
}

/// A codec, or the wish to try several.
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
                // The parser of arguments already quotes the value.
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
    /// Whether the codec is chosen by trying several.
    pub fn is_auto(&self) -> bool {
        self.codec == Some(CodecChoice::Auto)
    }

    /// The options of the planner.
    pub fn options(&self) -> PlanOptions {
        let codec = match self.codec {
            Some(CodecChoice::Given(codec)) => codec,
            Some(CodecChoice::Auto) | None => Codec::default(),
        };
        PlanOptions::default().codec(codec).chunk(self.chunk).shard(self.shard)
    }

    /// The conflict of flags, whatever the volumes are.
    pub fn conflict(&self) -> Option<String> {
        let PlanOptions { codec, chunk, shard, .. } = self.options();
        let layout = ChunkLayout::new(chunk?, shard.or(chunk)?, codec);
        layout.err().map(|error| error.to_string())
    }
}
