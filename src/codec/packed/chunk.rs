//! A whole chunk: which form it has.

use super::isa::Isa;
use super::lanes::{Buffers, Wanted, decode_lanes};
use super::view::{STRIP, View};
use super::window::{Piece, Sink, Window};

pub(super) const VERSION: u8 = 1;
pub(super) const CONSTANT: u8 = 0;
pub(super) const LANES_16: u8 = 1;
pub(super) const LANES_32: u8 = 2;
pub(super) const ZSTD: u8 = 3;

/// Buffers that a thread keeps between chunks, so that decoding allocates nothing once warm.
#[derive(Default)]
pub(crate) struct Scratch {
    rows_16: Vec<[i16; STRIP]>,
    rows_32: Vec<[i32; STRIP]>,
    /// The end of a chunk, with room behind it.
    tail: Vec<u8>,
    /// Voxels on their way from a frame, or from lanes of another size.
    voxels: Vec<u8>,
    zstd: Option<zstd::zstd_safe::DCtx<'static>>,
}

impl Scratch {
    /// Gives back buffers of more than `most` bytes.
    pub(crate) fn trim(&mut self, most: usize) {
        let Self { rows_16, rows_32, tail, voxels, zstd } = self;
        if zstd.as_ref().is_some_and(|context| context.sizeof() > most) {
            *zstd = None;
        }
        if rows_16.capacity() * 32 > most {
            *rows_16 = Vec::new();
        }
        if rows_32.capacity() * 64 > most {
            *rows_32 = Vec::new();
        }
        for buffer in [tail, voxels] {
            if buffer.capacity() > most {
                *buffer = Vec::new();
            }
        }
    }
}

/// Decodes the box `window` of a chunk of voxels of `item` bytes, and gives it to `sink`. Bytes
/// that are no chunk of this shape are an error, before or after some voxels.
#[inline(always)]
pub(crate) fn decode_window(
    isa: Isa,
    encoded: &[u8],
    window: &Window,
    item: usize,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> Result<(), String> {
    let view = View::new(window.chunk).ok_or("the chunk is too large for this machine")?;
    let [version, form, content @ ..] = encoded else {
        return Err("packed: shorter than its header".into());
    };
    if *version != VERSION {
        return Err(format!("packed: of version {version}; this one reads {VERSION}"));
    }
    let wanted = Wanted::of(&view, window, item);
    let done = match *form {
        CONSTANT => constant(content, window, item, sink),
        LANES_16 if item <= 4 => {
            let Scratch { rows_16: rows, tail, voxels, .. } = scratch;
            decode_lanes(isa, content, &wanted, Buffers { rows, tail, voxels }, sink)
        }
        LANES_32 if item == 4 => {
            let Scratch { rows_32: rows, tail, voxels, .. } = scratch;
            decode_lanes(isa, content, &wanted, Buffers { rows, tail, voxels }, sink)
        }
        ZSTD => frame(content, window, item, scratch, sink),
        _ => Err("of an unknown form".into()),
    };
    done.map_err(|reason| format!("packed: {reason}"))
}

fn constant(
    content: &[u8],
    window: &Window,
    item: usize,
    sink: &mut impl Sink,
) -> Result<(), String> {
    if content.len() != item {
        return Err("a constant of another size than a voxel".into());
    }
    let mut bytes = [0; 128];
    for voxel in bytes.chunks_exact_mut(item) {
        voxel.copy_from_slice(content);
    }
    let most = bytes.len() / item;
    for z in 0..window.shape[0] {
        for y in 0..window.shape[1] {
            for x in (0..window.shape[2]).step_by(most) {
                let width = most.min(window.shape[2] - x) * item;
                sink.put(Piece { at: [z, y, x], bytes: &bytes, rows: 1, width, stride: width });
            }
        }
    }
    Ok(())
}

/// Refuses what is not a frame of `bytes` bytes with a window that the format allows, before
/// anything is made room for: zstd takes the frames of its first versions too, and looks at the
/// window only where it needs one. The header is that of RFC 8878, 3.1.1.1.
fn check_frame(content: &[u8], bytes: usize) -> Result<(), String> {
    const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
    const SINGLE_SEGMENT: u8 = 1 << 5;
    let header = content.strip_prefix(&MAGIC);
    let [descriptor, window, ..] = header.ok_or("not a Zstandard frame")? else {
        return Err("shorter than the header of a frame".into());
    };
    // The part of a frame that is decoded may be the same for another number of planes.
    let stated = zstd::zstd_safe::get_frame_content_size(content).ok().flatten();
    if stated != Some(bytes as u64) {
        return Err("a frame of another number of voxels".into());
    }
    let window = if descriptor & SINGLE_SEGMENT == 0 {
        let base = 1_u64 << (10 + (window >> 3));
        base + base / 8 * u64::from(window & 7)
    } else {
        bytes as u64
    };
    let most = (bytes as u64).next_power_of_two().clamp(1 << 10, 1 << 27);
    if window > most {
        return Err(format!("a frame that needs {window} bytes at hand, more than the chunk has"));
    }
    Ok(())
}

/// A chunk that is one Zstandard frame of its voxels. No more of it is decoded than up to the
/// last plane that is wanted.
fn frame(
    content: &[u8],
    window: &Window,
    item: usize,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> Result<(), String> {
    use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, ResetDirective, get_error_name};

    let [planes, rows, columns] = window.chunk;
    let plane = rows * columns * item;
    let wanted = plane * (window.start[0] + window.shape[0]);
    check_frame(content, plane * planes)?;
    let Scratch { voxels, zstd, .. } = scratch;
    if voxels.len() < wanted {
        let more = wanted - voxels.len();
        voxels.try_reserve(more).map_err(|_| "no memory for the voxels of a frame")?;
        voxels.resize(wanted, 0);
    }
    let context = zstd.get_or_insert_with(DCtx::create);
    let zstd_says = |code| format!("zstd: {}", get_error_name(code));
    context.reset(ResetDirective::SessionOnly).map_err(zstd_says)?;
    let mut input = InBuffer::around(content);
    let mut output = OutBuffer::around(&mut voxels[..wanted]);
    let mut left = 1;
    while output.pos() < wanted {
        let before = (input.pos(), output.pos());
        left = context.decompress_stream(&mut output, &mut input).map_err(zstd_says)?;
        if left == 0 || before == (input.pos(), output.pos()) {
            break;
        }
    }
    let whole = wanted == plane * planes;
    if output.pos() < wanted || (whole && (left != 0 || input.pos() != content.len())) {
        return Err("a frame of another number of voxels".into());
    }
    for z in 0..window.shape[0] {
        let row = (window.start[0] + z) * rows + window.start[1];
        sink.put(Piece {
            at: [z, 0, 0],
            bytes: &voxels[(row * columns + window.start[2]) * item..wanted],
            rows: window.shape[1],
            width: window.shape[2] * item,
            stride: columns * item,
        });
    }
    Ok(())
}
