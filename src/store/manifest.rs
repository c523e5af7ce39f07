//! The manifest: the list of a volume's files, written last.
//!
//! `0/manifest.json` is `{"blake3": H, "manifest": M}`, [`sealed`]. M lists the two metadata
//! documents and every shard of the grid in C order, with length and digest, or as empty. A shard
//! that is not listed as empty must exist.

use serde::{Deserialize, Serialize};

use super::sealed;

/// Key of the manifest inside a generation.
pub(crate) const KEY: &str = "0/manifest.json";

/// Name of the content in the sealed document.
const NAME: &str = "manifest";

/// The content of the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// `SUBJECT/IMAGE`, so that moved volumes are noticed; `None` in the first stores of format
    /// version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) volume: Option<String>,
    /// Name of the manifest's generation; `None` in stores of format versions 1 and 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<String>,
    /// Digest of the OME metadata in the volume's pointer; `None` if `generation` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ome: Option<String>,
    /// Whether an index for sampling was published with the volume, so that its loss is noticed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) indexed: bool,
    /// Digest of the decoded voxels: see [`super::VoxelDigest`].
    pub(crate) voxels: String,
    /// Digest of the group's document, `zarr.json` of the generation.
    pub(crate) group: String,
    /// Digest of the array's document, `0/zarr.json`.
    pub(crate) array: String,
    /// Every shard of the grid, in C order of t, c, z, y, x.
    pub(crate) shards: Vec<ShardRecord>,
}

/// One shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ShardRecord {
    /// Key inside the array, such as `c/0/0/0`.
    pub(crate) key: String,
    /// The file, or `None` if every voxel of the shard is 0 and there is no file.
    pub(crate) file: Option<ShardFile>,
}

/// The file of a shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ShardFile {
    pub(crate) bytes: u64,
    pub(crate) blake3: String,
    /// The tag inside the shard, compared when the shard is opened; `None` in the first stores of
    /// format version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
}

impl Manifest {
    pub(crate) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        sealed::seal(NAME, self)
    }

    /// The manifest in a document, or the reason why there is none.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_str(sealed::open(NAME, bytes)?).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let file = ShardFile { bytes: 7, blake3: "ab".into(), tag: Some("cd".into()) };
        let manifest = Manifest {
            volume: Some("s/i".into()),
            generation: Some("g-0".into()),
            ome: Some("o".into()),
            indexed: true,
            voxels: "v".into(),
            group: "g".into(),
            array: "a".into(),
            shards: vec![
                ShardRecord { key: "c/0/0/0".into(), file: Some(file) },
                ShardRecord { key: "c/0/0/1".into(), file: None },
            ],
        };
        let bytes = manifest.to_bytes().unwrap();
        assert_eq!(Manifest::from_bytes(&bytes).unwrap().shards.len(), 2);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                assert!(Manifest::from_bytes(&bytes).is_err(), "byte {at}, bit {bit}");
            }
        }
    }
}
