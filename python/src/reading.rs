//! Patches, as a volume is asked for them: options, and reads into new arrays or those of a caller.

use numpy::ndarray::{Ix3, Ix4};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use voxpatch::{Buffer, Dtype, Frame, Frames, PatchBuffer, Pool, Region, View, Volume};

use crate::arguments::{self, Axes};
use crate::error::{Raise, invalid};
use crate::memory::{Memory, lend};
use crate::normalise::Normalise;

/// Bytes that are read between two looks for Ctrl-C: some hundredths of a second.
const BETWEEN_LOOKS: usize = 64 << 20;

/// A view of one frame or of several.
pub struct Shown {
    view: Either,
    /// Whether the first plane of a patch is the last one in the volume.
    is_reversed: bool,
}

enum Either {
    Frame(View<Ix3>),
    Frames(View<Ix4>),
}

/// The keyword arguments that say how voxels are returned, and of which frames.
pub struct Options<'a, 'py> {
    pub pad: Option<&'a Bound<'py, PyAny>>,
    pub dtype: Option<&'a Bound<'py, PyAny>>,
    pub scaled: bool,
    pub normalise: Option<&'a Bound<'py, PyAny>>,
    pub flip: Option<&'a Bound<'py, PyAny>>,
    pub time: Option<usize>,
    pub channel: Option<usize>,
    pub frames: Option<&'a str>,
}

impl Shown {
    /// The view that a caller's arguments describe.
    pub fn of(
        py: Python<'_>,
        volume: &Volume,
        axes: Axes,
        options: &Options<'_, '_>,
    ) -> PyResult<Self> {
        let mut view = volume.view();
        let ways = usize::from(options.scaled)
            + usize::from(options.dtype.is_some())
            + usize::from(options.normalise.is_some());
        if ways > 1 {
            return Err(PyTypeError::new_err("give one of scaled, dtype and normalise"));
        }
        if options.scaled {
            view = view.scaled();
        }
        if let Some(dtype) = options.dtype {
            view = view.converted(arguments::dtype(dtype)?);
        }
        if let Some(normalise) = options.normalise {
            let normalise = match normalise.cast::<PyString>() {
                Ok(name) if name.to_string_lossy() == "z_score" => volume.z_score().raise(py)?,
                Ok(name) => {
                    let reason = "give \"z_score\", or a Normalise";
                    return Err(invalid(py, "normalise", name, reason));
                }
                Err(_) => normalise.cast::<Normalise>()?.get().0,
            };
            view = view.normalised(normalise).raise(py)?;
        }
        if let Some(pad) = options.pad {
            view = view.padded(arguments::padding(pad)?);
        }
        let flips = options.flip.map_or(Ok([false; 3]), |flip| flipped(flip, axes))?;
        view = view.flipped(flips);
        let frames = match (options.frames, options.time) {
            (None, None) => Frames::OnlyTime,
            (None, Some(time)) => Frames::Time(time),
            (Some("all"), None) if options.channel.is_none() => Frames::All,
            (Some("all"), _) => {
                return Err(PyTypeError::new_err(
                    "frames=\"all\" goes with neither time nor channel",
                ));
            }
            (Some(other), _) => {
                return Err(invalid(py, "frames", other, "give \"all\", or leave it out"));
            }
        };
        let shown = view.frames(frames).raise(py)?;
        let time = options.time.unwrap_or(0);
        let view = match options.channel {
            Some(channel) => Either::Frame(view.frame(Frame { time, channel }).raise(py)?),
            None if frames != Frames::All && volume.channels() == 1 => {
                Either::Frame(view.frame(Frame { time, channel: 0 }).raise(py)?)
            }
            None => Either::Frames(shown),
        };
        Ok(Self { view, is_reversed: flips[0] })
    }

    /// One frame as it is stored, mirrored along these axes.
    pub fn frame(volume: &Volume, frame: Frame, flips: [bool; 3]) -> voxpatch::Result<Self> {
        let view = Either::Frame(volume.view().flipped(flips).frame(frame)?);
        Ok(Self { view, is_reversed: flips[0] })
    }

    /// All channels of a time point, the same.
    pub fn channels(volume: &Volume, time: usize, flips: [bool; 3]) -> voxpatch::Result<Self> {
        let view = Either::Frames(volume.view().flipped(flips).frames(Frames::Time(time))?);
        Ok(Self { view, is_reversed: flips[0] })
    }

    pub fn dtype(&self) -> Dtype {
        match &self.view {
            Either::Frame(view) => view.returned_dtype(),
            Either::Frames(view) => view.returned_dtype(),
        }
    }

    /// The shape of a patch: `z, y, x`, or `c, z, y, x`.
    pub fn shape(&self, patch: [usize; 3]) -> Vec<usize> {
        match &self.view {
            Either::Frame(_) => patch.to_vec(),
            Either::Frames(view) => [&[view.channels()], &patch[..]].concat(),
        }
    }

    /// One patch, into bytes with these strides, `(c,) z, y, x`.
    pub fn read(
        &self,
        region: Region,
        bytes: &mut [u8],
        strides: &[isize],
    ) -> voxpatch::Result<()> {
        match &self.view {
            Either::Frame(view) => view.read_bytes(region, bytes, strides),
            Either::Frames(view) => view.read_bytes(region, bytes, strides),
        }
    }

    fn read_many(&self, patches: &mut [PatchBuffer<'_>], pool: &Pool) -> voxpatch::Result<()> {
        match &self.view {
            Either::Frame(view) => view.read_many_bytes(patches, pool),
            Either::Frames(view) => view.read_many_bytes(patches, pool),
        }
    }
}

/// `flip=`: an axis or several, as of `numpy.flip`, counted in the order of a patch's spatial axes.
fn flipped(object: &Bound<'_, PyAny>, axes: Axes) -> PyResult<[bool; 3]> {
    let py = object.py();
    let chosen: Vec<isize> = match object.extract::<isize>() {
        Ok(axis) => vec![axis],
        Err(_) => object.extract().map_err(|_| {
            PyTypeError::new_err(format!("flip must be an axis or several, not {object}"))
        })?,
    };
    let mut flips = [false; 3];
    for axis in chosen {
        let at = if axis < 0 { axis + 3 } else { axis };
        let Some(flip) = usize::try_from(at).ok().and_then(|at| flips.get_mut(at)) else {
            return Err(invalid(py, "flip", axis, "an axis is 0, 1 or 2, or from -3 to -1"));
        };
        *flip = true;
    }
    Ok(axes.flip(flips))
}

/// Strides in bytes of an array in C order.
pub fn strides(shape: &[usize], item: usize) -> Vec<isize> {
    let mut strides = vec![item.cast_signed(); shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1).cast_signed();
    }
    strides
}

/// New memory for an array of this shape.
pub fn memory(shape: &[usize], item: usize) -> PyResult<Memory> {
    let bytes = shape.iter().try_fold(item, |bytes, n| bytes.checked_mul(*n));
    bytes
        .and_then(Buffer::zeroed)
        .map(Memory::from)
        .ok_or_else(|| PyMemoryError::new_err(format!("no memory for an array of shape {shape:?}")))
}

/// Memory in C order, `(..., z, y, x)`, as an array with the caller's order of the last three axes.
pub fn array<'py>(
    py: Python<'py>,
    memory: Memory,
    of: Dtype,
    shape: &[usize],
    axes: Axes,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let (mut shape, mut strides) = (shape.to_vec(), strides(shape, of.size()));
    if axes == Axes::Xyz {
        let first = shape.len() - 3;
        shape[first..].reverse();
        strides[first..].reverse();
    }
    memory.into_array(py, of, &shape, &strides)
}

/// `out` itself, or numpy's array over the memory of a tensor.
fn array_of<'py>(out: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let array = match out.cast::<PyUntypedArray>() {
        Ok(array) => return Ok(array.clone()),
        // Of torch, which refuses tensors with gradients and on other devices.
        Err(_) if out.hasattr("data_ptr")? => out.call_method0("numpy")?,
        Err(_) if out.hasattr("__dlpack__")? => {
            out.py().import("numpy")?.call_method1("from_dlpack", (out,))?
        }
        Err(_) => {
            let kind = out.get_type();
            let message = format!("out must be an array or a tensor, not {kind}");
            return Err(PyTypeError::new_err(message));
        }
    };
    Ok(array.cast_into()?)
}

/// Reads into `out`, which must have this type and shape (given in `z, y, x` order): `read` gets its
/// bytes, and its strides in `z, y, x` order.
fn into(
    out: &Bound<'_, PyAny>,
    of: Dtype,
    shape: &[usize],
    axes: Axes,
    read: impl FnOnce(&mut [u8], &[isize]) -> PyResult<()>,
) -> PyResult<()> {
    let array = &array_of(out)?;
    let mut expected = shape.to_vec();
    let spatial = expected.len() - 3;
    if axes == Axes::Xyz {
        expected[spatial..].reverse();
    }
    if array.shape() != expected {
        let reason = format!("the voxels have the shape {expected:?}");
        return Err(invalid(out.py(), "shape of out", format!("{:?}", array.shape()), reason));
    }
    lend(array, of, |bytes, strides| {
        let mut strides = strides.to_vec();
        if axes == Axes::Xyz {
            strides[spatial..].reverse();
        }
        read(bytes, &strides)
    })
}

/// One patch, in a new array or in `out`, which is returned.
pub fn patch<'py>(
    py: Python<'py>,
    shown: &Shown,
    region: Region,
    axes: Axes,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (shape, of) = (shown.shape(region.shape), shown.dtype());
    if let Some(out) = out {
        into(out, of, &shape, axes, |bytes, strides| slabs(py, shown, region, bytes, strides))?;
        return Ok(out.clone());
    }
    let mut memory = memory(&shape, of.size())?;
    slabs(py, shown, region, memory.bytes(), &strides(&shape, of.size()))?;
    Ok(array(py, memory, of, &shape, axes)?.into_any())
}

/// Reads a patch with the interpreter released; a large one in slabs of planes, so that Ctrl-C is
/// seen in between.
pub fn slabs(
    py: Python<'_>,
    shown: &Shown,
    region: Region,
    bytes: &mut [u8],
    strides: &[isize],
) -> PyResult<()> {
    let shape = shown.shape(region.shape);
    let depth = region.shape[0];
    let plane = bytes.len() / depth.max(1);
    if bytes.len() <= BETWEEN_LOOKS || depth < 2 {
        return py.detach(|| shown.read(region, bytes, strides)).raise(py);
    }
    let z = strides[shape.len() - 3];
    let step = (BETWEEN_LOOKS / plane.max(1)).max(1);
    for from in (0..depth).step_by(step) {
        py.check_signals()?;
        let to = (from + step).min(depth);
        let [first, y, x] = region.start;
        let start = first.checked_add(from.cast_signed() as i64);
        let start =
            start.ok_or_else(|| invalid(py, "start", first, "the patch ends beyond int64"))?;
        let part =
            Region { start: [start, y, x], shape: [to - from, region.shape[1], region.shape[2]] };
        // Planes of the array that these planes of the volume become.
        let (first, end) = if shown.is_reversed { (depth - to, depth - from) } else { (from, to) };
        let lowest = if z < 0 { depth - end } else { first } * z.unsigned_abs();
        py.detach(|| shown.read(part, &mut bytes[lowest..], strides)).raise(py)?;
    }
    Ok(())
}

/// Patches of one shape, in a new array with an axis for the patches before all others, or in `out`.
pub fn patches<'py>(
    py: Python<'py>,
    shown: &Shown,
    starts: &[[i64; 3]],
    patch: [usize; 3],
    axes: Axes,
    out: Option<&Bound<'py, PyAny>>,
    pool: &Pool,
) -> PyResult<Bound<'py, PyAny>> {
    let of = shown.dtype();
    let shape = [&[starts.len()], &shown.shape(patch)[..]].concat();
    if let Some(out) = out {
        into(out, of, &shape, axes, |bytes, strides| {
            read_each(py, shown, starts, patch, bytes, strides, pool)
        })?;
        return Ok(out.clone());
    }
    let mut memory = memory(&shape, of.size())?;
    read_each(py, shown, starts, patch, memory.bytes(), &strides(&shape, of.size()), pool)?;
    Ok(array(py, memory, of, &shape, axes)?.into_any())
}

fn read_each(
    py: Python<'_>,
    shown: &Shown,
    starts: &[[i64; 3]],
    patch: [usize; 3],
    bytes: &mut [u8],
    strides: &[isize],
    pool: &Pool,
) -> PyResult<()> {
    let (each, strides) = strides.split_first().expect("an axis for the patches");
    let span = each.unsigned_abs();
    // The bytes of a patch: those from its lowest voxel to its highest.
    let length = bytes.len().saturating_sub(span * starts.len().saturating_sub(1));
    let mut buffers = Vec::with_capacity(starts.len());
    let mut rest = bytes;
    let order: Box<dyn Iterator<Item = &[i64; 3]>> =
        if *each < 0 { Box::new(starts.iter().rev()) } else { Box::new(starts.iter()) };
    if span < length {
        return Err(PyValueError::new_err("patches of out must not lie within one another"));
    }
    let count = starts.len();
    for (n, start) in order.enumerate() {
        let (own, after) = rest.split_at_mut(if n + 1 < count { span } else { length });
        rest = after;
        let region = Region { start: *start, shape: patch };
        buffers.push(PatchBuffer { region, bytes: &mut own[..length], strides });
    }
    // A batch beyond this is read in parts; a chunk that patches of two parts share is decoded twice.
    for some in buffers.chunks_mut((BETWEEN_LOOKS / length.max(1)).max(1)) {
        py.check_signals()?;
        py.detach(|| shown.read_many(some, pool)).raise(py)?;
    }
    Ok(())
}
