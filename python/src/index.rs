//! `volume[...]`: numpy's basic indexing, read from the store.

use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyEllipsis, PySlice, PyTuple};
use voxpatch::{Frame, Region, Volume};

use crate::arguments::Axes;
use crate::error::Raise;
use crate::reading::{self, Shown};

/// The indices that were chosen along one axis: `first`, `first + step`, ..., `count` of them.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    first: usize,
    step: isize,
    count: usize,
    /// By a number, so that the result has no such axis.
    is_one: bool,
}

impl Chosen {
    fn whole(length: usize) -> Self {
        Self { first: 0, step: 1, count: length, is_one: false }
    }

    fn of(item: &Bound<'_, PyAny>, axis: usize, length: usize) -> PyResult<Self> {
        if let Ok(slice) = item.cast::<PySlice>() {
            let found = slice.indices(length.cast_signed())?;
            return Ok(Self {
                first: found.start.max(0).unsigned_abs(),
                step: found.step,
                count: found.slicelength,
                is_one: false,
            });
        }
        let is_number = !item.is_instance_of::<pyo3::types::PyBool>();
        let Some(index) = item.extract::<isize>().ok().filter(|_| is_number) else {
            return Err(PyTypeError::new_err(format!(
                "a volume is indexed by whole numbers, slices and an ellipsis, not by {}; for other \
                 indices take an array of all voxels: numpy.asarray(volume)",
                item.get_type()
            )));
        };
        let at = if index < 0 { index + length.cast_signed() } else { index };
        match usize::try_from(at) {
            Ok(first) if first < length => Ok(Self { first, step: 1, count: 1, is_one: true }),
            _ => Err(PyIndexError::new_err(format!(
                "index {index} is out of bounds for axis {axis} with size {length}"
            ))),
        }
    }

    fn at(self, n: usize) -> usize {
        self.first.wrapping_add_signed(self.step * n.cast_signed())
    }

    /// The lowest and the highest index of the `n`-th to the `end`-th chosen one.
    fn span(self, n: usize, end: usize) -> (usize, usize) {
        let (a, b) = (self.at(n), self.at(end - 1));
        (a.min(b), a.max(b))
    }

    fn is_dense(self) -> bool {
        self.step.abs() == 1 || self.count < 2
    }
}

/// The choices along all axes of a volume `([t,] [c,] spatial axes)`.
pub fn get<'py>(
    py: Python<'py>,
    volume: &Volume,
    shape: &[usize],
    axes: Axes,
    index: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut chosen = choices(index, shape)?;
    let spatial = chosen.len() - 3;
    let kept: Vec<bool> = chosen.iter().map(|c| !c.is_one).collect();
    if axes == Axes::Xyz {
        chosen[spatial..].reverse();
    }
    let zyx = [chosen[spatial], chosen[spatial + 1], chosen[spatial + 2]];
    let (times, channels) = match (volume.times() > 1, volume.channels() > 1) {
        (true, true) => (chosen[0], chosen[1]),
        (true, false) => (chosen[0], Chosen::whole(1)),
        (false, true) => (Chosen::whole(1), chosen[0]),
        (false, false) => (Chosen::whole(1), Chosen::whole(1)),
    };
    let counts: Vec<usize> = chosen.iter().map(|c| c.count).collect();
    let of = volume.dtype();
    let mut memory = reading::memory(&counts, of.size())?;
    if !counts.contains(&0) {
        let strides = reading::strides(&counts, of.size());
        let bytes = memory.bytes();
        let frame_bytes: usize = zyx.iter().map(|c| c.count).product::<usize>() * of.size();
        let all_channels =
            channels.count > 1 && channels.count == volume.channels() && channels.step == 1;
        for t in 0..times.count {
            let of_time =
                &mut bytes[t * channels.count * frame_bytes..][..channels.count * frame_bytes];
            if all_channels && zyx.iter().all(|c| c.is_dense()) {
                let shown = Shown::channels(volume, times.at(t), flips(zyx)).raise(py)?;
                reading::slabs(py, &shown, dense(zyx), of_time, &strides[spatial - 1..])?;
                continue;
            }
            for (c, of_frame) in of_time.chunks_exact_mut(frame_bytes).enumerate() {
                let frame = Frame { time: times.at(t), channel: channels.at(c) };
                if zyx.iter().all(|c| c.is_dense()) {
                    let shown = Shown::frame(volume, frame, flips(zyx)).raise(py)?;
                    reading::slabs(py, &shown, dense(zyx), of_frame, &strides[spatial..])?;
                } else {
                    stepped(py, volume, frame, zyx, of_frame)?;
                }
            }
        }
    }
    let array = reading::array(py, memory, of, &counts, axes)?.into_any();
    if kept.iter().all(|kept| *kept) {
        return Ok(array);
    }
    // Axes that a number was given for go; without any axis left, numpy gives a scalar.
    let numbers = kept.iter().map(|kept| match kept {
        true => Ok(PySlice::full(py).into_any()),
        false => Ok(0_usize.into_pyobject(py)?.into_any()),
    });
    array.get_item(PyTuple::new(py, numbers.collect::<PyResult<Vec<_>>>()?)?)
}

/// What an index chooses along each axis.
fn choices(index: &Bound<'_, PyAny>, shape: &[usize]) -> PyResult<Vec<Chosen>> {
    let items: Vec<Bound<'_, PyAny>> = match index.cast::<PyTuple>() {
        Ok(items) => items.iter().collect(),
        Err(_) => vec![index.clone()],
    };
    let is_ellipsis = |item: &Bound<'_, PyAny>| item.is_instance_of::<PyEllipsis>();
    let given = items.iter().filter(|item| !is_ellipsis(item)).count();
    if items.len() - given > 1 {
        return Err(PyIndexError::new_err("an index can only have a single ellipsis ('...')"));
    }
    if given > shape.len() {
        return Err(PyIndexError::new_err(format!(
            "too many indices: the volume has {} axes, but {given} were indexed",
            shape.len()
        )));
    }
    let mut chosen: Vec<Chosen> = Vec::with_capacity(shape.len());
    for item in &items {
        if is_ellipsis(item) {
            let until = chosen.len() + shape.len() - given;
            chosen.extend(shape[chosen.len()..until].iter().map(|length| Chosen::whole(*length)));
        } else {
            let axis = chosen.len();
            chosen.push(Chosen::of(item, axis, shape[axis])?);
        }
    }
    chosen.extend(shape[chosen.len()..].iter().map(|length| Chosen::whole(*length)));
    Ok(chosen)
}

/// The region of choices without gaps.
fn dense(zyx: [Chosen; 3]) -> Region {
    Region { start: zyx.map(|c| c.span(0, c.count).0 as i64), shape: zyx.map(|c| c.count) }
}

fn flips(zyx: [Chosen; 3]) -> [bool; 3] {
    zyx.map(|c| c.step < 0)
}

/// A frame of choices with gaps. Reads what lies in one row of chunks at a time, and copies the
/// chosen voxels: each chunk is decoded once, and memory holds one layer of chunks.
fn stepped(
    py: Python<'_>,
    volume: &Volume,
    frame: Frame,
    zyx: [Chosen; 3],
    out: &mut [u8],
) -> PyResult<()> {
    let [z, y, x] = zyx;
    let (item, layer) = (volume.dtype().size(), volume.layout().chunk[0]);
    let shown = Shown::frame(volume, frame, [false; 3]).raise(py)?;
    let ((y_low, y_high), (x_low, x_high)) = (y.span(0, y.count), x.span(0, x.count));
    let (rows, columns) = (y_high - y_low + 1, x_high - x_low + 1);
    let mut from = 0;
    while from < z.count {
        py.check_signals()?;
        let mut to = from + 1;
        while to < z.count && z.at(to) / layer == z.at(from) / layer {
            to += 1;
        }
        let (low, high) = z.span(from, to);
        let shape = [high - low + 1, rows, columns];
        let region = Region { start: [low, y_low, x_low].map(|s| s as i64), shape };
        let mut memory = reading::memory(&shape, item)?;
        reading::slabs(py, &shown, region, memory.bytes(), &reading::strides(&shape, item))?;
        let read: &[u8] = memory.bytes();
        let mut places = out[from * y.count * x.count * item..].chunks_exact_mut(item);
        for n in from..to {
            for m in 0..y.count {
                let row = ((z.at(n) - low) * rows + y.at(m) - y_low) * columns;
                for k in 0..x.count {
                    let at = (row + x.at(k) - x_low) * item;
                    let place = places.next().expect("a place for each chosen voxel");
                    place.copy_from_slice(&read[at..at + item]);
                }
            }
        }
        from = to;
    }
    Ok(())
}
