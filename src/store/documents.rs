//! The two `zarr.json` of a volume: its group, and its array.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::array::ArrayShape;
use super::digest;
use super::label_name::LabelName;
use super::source::{SourceInfo, upgraded};
use crate::codec::chain_of;
use crate::layout::{ChunkLayout, Workload};
use crate::widening::Widening;
use crate::{Affine, Dtype, Finding, Kind, Scaling, Space, Spacing, Statistics};

/// The newest format version that is read, which is also the version of every volume that is
/// written. Version 2 was for volumes whose shards span frames, version 1 for all others; both
/// described the source by other fields ([`upgraded`]).
pub(crate) const VERSION: u64 = 3;

/// The format version of the groups of datasets and subjects, which have not changed since.
const GROUP_VERSION: u64 = 1;

/// The `voxpatch` attribute of a volume's group, which describes its voxels. Every version is read,
/// the newest is written.
// Serialised remotely, so that older attributes can be upgraded before they are parsed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct Attributes {
    /// Version of the format in which the volume was written.
    pub version: u64,
    /// What the voxels mean.
    pub kind: Kind,
    /// Voxel `(x, y, z)` to RAS millimetres, exactly as determined by the conversion.
    pub affine: Affine,
    /// The coordinate system of the affine, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<Space>,
    /// Voxel spacing in millimetres, `z, y, x`.
    pub spacing: Spacing,
    /// Seconds between time points, if known.
    pub time_step: Option<f64>,
    /// Scaling from stored voxels to real values; `None` if they are equal.
    pub scaling: Option<Scaling>,
    /// Type of the source's voxels, which is wider than the array's type and holds all its values;
    /// `None` if the array has the source's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_dtype: Option<Dtype>,
    /// The volume, `SUBJECT/IMAGE`, of which the voxels are a prediction; `None` for a scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_from: Option<String>,
    /// Chunks, shards and codec.
    pub layout: ChunkLayout,
    /// The reads that the layout was chosen for.
    pub workload: Workload,
    /// Statistics of all voxels, gathered by the conversion.
    pub statistics: Statistics,
    /// The origin of the voxels.
    pub source: SourceInfo,
    /// The names of labels, if given to the conversion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelName>,
    /// Digest of the options of the conversion: [`crate::ConvertOptions::digest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options_digest: Option<String>,
    /// Decisions, guesses and repairs of the conversion.
    pub findings: Vec<Finding>,
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let attributes = upgraded(Value::deserialize(deserializer)?);
        Self::deserialize(attributes).map_err(serde::de::Error::custom)
    }
}

impl Attributes {
    /// The conversion from the array's type to the source's; `None` if the types are equal.
    pub(super) fn widening(&self, array: &ArrayShape) -> Result<Option<&'static Widening>, String> {
        let (Some(original), stored) = (self.original_dtype, array.dtype) else { return Ok(None) };
        let widening = Widening::between(stored, original).ok_or_else(|| {
            format!("{original} voxels cannot have been narrowed to the {stored} of its array")
        })?;
        if array.bytes_as(original).is_none() {
            return Err(format!("its voxels would not fit in memory as {original}"));
        }
        Ok(Some(widening))
    }
}

/// The `voxpatch` attribute of a pointer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PointerTarget {
    pub(super) version: u64,
    /// Name of the generation.
    pub(super) generation: String,
    /// The extent of its manifest.
    pub(super) manifest: Extent,
}

/// Length and digest of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extent {
    pub(super) bytes: u64,
    pub(super) blake3: String,
}

impl Extent {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, blake3: digest::of_bytes(bytes) }
    }
}

/// The document of a group without content of its own: the dataset, or a subject.
pub(super) fn plain_group(role: &str) -> Vec<u8> {
    pretty(&json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"voxpatch": {"version": GROUP_VERSION, "role": role}},
    }))
}

/// Checks that a document is that of a Zarr group; other attributes are allowed.
pub(super) fn check_group(document: &[u8]) -> Result<(), String> {
    let document: Value = serde_json::from_slice(document).map_err(|e| e.to_string())?;
    if document["zarr_format"] == 3 && document["node_type"] == "group" {
        return Ok(());
    }
    Err("it is not the document of a Zarr v3 group".into())
}

/// The document of a generation's group, with its own attribute, which describes the voxels.
pub(super) fn generation_group(attribute: &Value) -> Vec<u8> {
    pretty(&json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"voxpatch": attribute},
    }))
}

/// The pointer of a volume: its OME metadata, and its generation. A truncated document is not a
/// valid pointer.
pub(super) fn pointer(ome: &Value, target: &PointerTarget) -> Vec<u8> {
    let document = json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": ome, "voxpatch": target},
    });
    serde_json::to_vec_pretty(&document).expect("JSON values serialise")
}

/// The OME metadata in a pointer.
pub(super) fn ome_of(document: &[u8]) -> Result<Value, String> {
    let mut document: Value = serde_json::from_slice(document).map_err(|e| e.to_string())?;
    let ome = document.pointer_mut("/attributes/ome").map(Value::take);
    ome.ok_or_else(|| "it has no ome attribute".into())
}

/// The document of a volume's array.
pub(super) fn array(shape: &ArrayShape, layout: &ChunkLayout, names: &[&str]) -> Vec<u8> {
    pretty(&json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape.with_leading(shape.times, shape.channels, shape.shape),
        "data_type": shape.dtype.name(),
        "chunk_grid": {"name": "regular", "configuration": {
            "chunk_shape": shape.with_leading(layout.frames[0], layout.frames[1], layout.shard),
        }},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": if shape.dtype.is_integer() { json!(0) } else { json!(0.0) },
        "codecs": [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": shape.with_leading(1, 1, layout.chunk),
            "codecs": chain_of(layout, shape.dtype),
            "index_codecs": index_codecs(),
            "index_location": "end",
        }}],
        "attributes": {},
        "dimension_names": names,
    }))
}

fn index_codecs() -> Value {
    json!([{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}])
}

/// The parts of an array's document that are read.
#[derive(Debug, Deserialize)]
pub(super) struct ArrayDocument {
    shape: Vec<usize>,
    data_type: Dtype,
    chunk_grid: Named<Grid>,
    codecs: Vec<Named<Sharding>>,
    dimension_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Named<T> {
    name: String,
    configuration: T,
}

#[derive(Debug, Deserialize)]
struct Grid {
    chunk_shape: Vec<usize>,
}

#[derive(Debug, Deserialize)]
struct Sharding {
    chunk_shape: Vec<usize>,
    codecs: Vec<Value>,
    index_codecs: Value,
    index_location: String,
}

/// The meaning of an array's document.
pub(super) struct ParsedArray {
    pub(super) shape: ArrayShape,
    /// Time points and channels of a shard.
    pub(super) frames: [usize; 2],
    pub(super) shard: [usize; 3],
    pub(super) chunk: [usize; 3],
    pub(super) chain: Vec<Value>,
}

impl ArrayDocument {
    /// The meaning of the document, or the reason why this library did not write it.
    pub(super) fn understand(self) -> Result<ParsedArray, String> {
        let names: Vec<&str> = self.dimension_names.iter().map(String::as_str).collect();
        let (has_time, has_channel) = match names[..] {
            ["z", "y", "x"] => (false, false),
            ["t", "z", "y", "x"] => (true, false),
            ["c", "z", "y", "x"] => (false, true),
            ["t", "c", "z", "y", "x"] => (true, true),
            _ => return Err(format!("axes {names:?} are not (t,) (c,) z, y, x")),
        };
        let [sharding] =
            <[_; 1]>::try_from(self.codecs).map_err(|_| "the codecs are not one sharding codec")?;
        let (grid, inner) = (&self.chunk_grid, &sharding.configuration);
        let usual = grid.name == "regular"
            && sharding.name == "sharding_indexed"
            && inner.index_location == "end"
            && inner.index_codecs == index_codecs();
        if !usual {
            return Err("its grid or its sharding is not of the kind written here".into());
        }
        let (axes, rest) = split(&self.shape, names.len())?;
        let (shard_axes, shard) = split(&grid.configuration.chunk_shape, names.len())?;
        let (chunk_axes, chunk) = split(&inner.chunk_shape, names.len())?;
        if chunk_axes.iter().any(|n| *n != 1) || rest.contains(&0) {
            return Err("a chunk is of several frames, or an axis is empty".into());
        }
        let leading = |axes: &[usize]| {
            let mut axes = axes.iter().copied();
            [has_time, has_channel].map(|there| if there { axes.next().unwrap_or(1) } else { 1 })
        };
        let ([times, channels], frames) = (leading(axes), leading(shard_axes));
        let shape = ArrayShape { dtype: self.data_type, times, channels, shape: rest };
        // Refuses products that do not fit, so that later arithmetic cannot overflow.
        if shape.bytes_as(shape.dtype).is_none() {
            return Err(format!("impossible shape {:?}", self.shape));
        }
        let chain = sharding.configuration.codecs;
        Ok(ParsedArray { shape, frames, shard, chunk, chain })
    }
}

fn split(shape: &[usize], axes: usize) -> Result<(&[usize], [usize; 3]), String> {
    match shape.split_last_chunk::<3>() {
        Some((leading, rest)) if shape.len() == axes => Ok((leading, *rest)),
        _ => Err(format!("{} axes instead of {axes}", shape.len())),
    }
}

/// The group's own attribute, as raw JSON: its version must be known before the rest is parsed.
pub(super) fn attribute_of(document: &[u8]) -> Result<Value, String> {
    let mut document: Value = serde_json::from_slice(document).map_err(|e| e.to_string())?;
    match document.pointer_mut("/attributes/voxpatch") {
        Some(attribute) if attribute.is_object() => Ok(attribute.take()),
        _ => Err("it has no voxpatch attribute".into()),
    }
}

fn pretty(document: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("JSON values serialise");
    bytes.push(b'\n');
    bytes
}
