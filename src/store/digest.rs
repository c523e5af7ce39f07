//! Digests of files, and of voxels independent of their layout.

use std::io;

use serde_json::Value;

use crate::disk::{Disk, FetchError, Span};
use crate::{Dtype, Frame};

/// BLAKE3, in hexadecimal, as the manifest records it for each file.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Bytes that are fetched together to be digested.
const PIECE: u64 = 1 << 20;

/// The digest of an object and its length. An object without a view is fetched in pieces, so that
/// memory does not depend on its length.
pub(super) fn of_object(disk: &Disk, key: &str) -> io::Result<(String, u64)> {
    if let Some(view) = disk.view(key)? {
        return Ok((of_bytes(&view), view.len() as u64));
    }
    let length = disk.length(key)?;
    let mut hasher = blake3::Hasher::new();
    let mut start = 0;
    while start < length {
        let range = start..length.min(start + PIECE);
        start = range.end;
        let fetched = disk.fetch(&[Span { key, range }], &mut |_, bytes| {
            hasher.update(&bytes);
        });
        fetched.map_err(|FetchError { source, .. }| source)?;
    }
    Ok((hasher.finalize().to_hex().to_string(), length))
}

/// The digest of a JSON value, written with ascending keys and without spaces.
pub(crate) fn of_json(value: &Value) -> String {
    let mut text = String::new();
    write_sorted(value, &mut text);
    of_bytes(text.as_bytes())
}

/// Sorted here, because another crate of the program may switch JSON maps to insertion order.
fn write_sorted(value: &Value, text: &mut String) {
    let between = |n: usize| if n > 0 { "," } else { "" };
    match value {
        Value::Array(values) => {
            text.push('[');
            for (n, value) in values.iter().enumerate() {
                text.push_str(between(n));
                write_sorted(value, text);
            }
            text.push(']');
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (n, (key, value)) in entries.into_iter().enumerate() {
                text.push_str(between(n));
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
            }
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// The digest of a file in parts.
pub(crate) fn of_parts(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().to_hex().to_string()
}

/// Digest of a volume's decoded voxels, the same for every chunking and codec.
///
/// BLAKE3 over a head (`voxpatch voxels 1`, the dtype's name, and the shape t, c, z, y, x as
/// little-endian u64) followed by the BLAKE3 of each frame's little-endian voxels in C order,
/// ordered by time, then channel. Frames may come in any order, or interleaved, each from its first
/// plane to its last.
pub(crate) struct VoxelDigest {
    head: blake3::Hasher,
    /// Hashers of the frames by time, then channel: about 2 kB each.
    frames: Vec<blake3::Hasher>,
    channels: usize,
}

impl VoxelDigest {
    pub(crate) fn new(dtype: Dtype, times: usize, channels: usize, shape: [usize; 3]) -> Self {
        let mut head = blake3::Hasher::new();
        head.update(b"voxpatch voxels 1");
        head.update(dtype.name().as_bytes());
        for n in [times, channels, shape[0], shape[1], shape[2]] {
            head.update(&(n as u64).to_le_bytes());
        }
        Self { head, frames: vec![blake3::Hasher::new(); times * channels], channels }
    }

    /// Adds the next planes of a frame, in native byte order.
    pub(crate) fn add(&mut self, frame: Frame, planes: &[u8], dtype: Dtype) {
        let hasher = &mut self.frames[frame.time * self.channels + frame.channel];
        if cfg!(target_endian = "little") || dtype.size() == 1 {
            hasher.update(planes);
        } else {
            for voxel in planes.chunks_exact(dtype.size()) {
                let mut bytes = [0; 8];
                let bytes = &mut bytes[..voxel.len()];
                bytes.copy_from_slice(voxel);
                bytes.reverse();
                hasher.update(bytes);
            }
        }
    }

    pub(crate) fn finish(mut self) -> String {
        for frame in &self.frames {
            self.head.update(frame.finalize().as_bytes());
        }
        self.head.finalize().to_hex().to_string()
    }
}
