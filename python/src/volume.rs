//! Volumes: what is known of one, and reads.

use std::path::{Path, PathBuf};

use numpy::PyArrayDescr;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use voxpatch::statistics::Statistics;
use voxpatch::{Error, Region};

use crate::arguments::{self, Axes};
use crate::error::{Raise, raised};
use crate::normalise::Normalise;
use crate::reading::{self, Options, Shown};
use crate::{describe, index, memory, pools};

/// A stored volume. Reading takes the voxels of the chunks that a patch touches, and no more.
///
/// Arrays and triples are in the order of `axes`: `z, y, x` unless the store was opened with
/// ``axes="xyz"``. Volumes may be used by several threads at once, pickled, and inherited by a
/// forked process.
#[pyclass(frozen, module = "voxpatch")]
pub struct Volume {
    pub volume: voxpatch::Volume,
    /// The path that the store was opened by, absolute.
    pub store: PathBuf,
    pub axes: Axes,
}

impl Volume {
    /// Lengths of all axes.
    fn full_shape(&self) -> Vec<usize> {
        describe::shape(&self.volume, self.axes)
    }
}

#[pymethods]
impl Volume {
    /// The name, ``SUBJECT/IMAGE``.
    #[getter]
    fn name(&self) -> String {
        self.volume.name().to_string()
    }

    /// The subject in the name.
    #[getter]
    fn subject(&self) -> &str {
        self.volume.name().subject()
    }

    /// The image in the name.
    #[getter]
    fn image(&self) -> &str {
        self.volume.name().image()
    }

    /// The path of the store.
    #[getter]
    fn store(&self) -> &Path {
        &self.store
    }

    /// ``"zyx"`` or ``"xyz"``: the order of the spatial axes.
    #[getter]
    fn axes(&self) -> &'static str {
        self.axes.name()
    }

    /// Lengths of all axes: those for time points and channels only where there are several, then
    /// the three spatial ones.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.full_shape())
    }

    /// Lengths of the three spatial axes, in voxels.
    #[getter]
    fn spatial_shape(&self) -> (usize, usize, usize) {
        self.axes.flip(self.volume.shape()).into()
    }

    /// Number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.full_shape().len()
    }

    /// Number of voxels, over all time points and channels.
    #[getter]
    fn size(&self) -> usize {
        self.full_shape().iter().product()
    }

    /// Bytes of the voxels as they are returned.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.volume.raw_bytes()
    }

    /// Bytes on disk.
    #[getter]
    fn stored_nbytes(&self) -> u64 {
        self.volume.stored_bytes()
    }

    /// Number of time points; 1 without a time axis.
    #[getter]
    fn times(&self) -> usize {
        self.volume.times()
    }

    /// Number of channels; 1 without a channel axis.
    #[getter]
    fn channels(&self) -> usize {
        self.volume.channels()
    }

    /// Type of the voxels that reads return: that of the source.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyArrayDescr> {
        memory::descriptor(py, self.volume.dtype())
    }

    /// Type of the voxels on disk: the same or narrower.
    #[getter]
    fn stored_dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyArrayDescr> {
        memory::descriptor(py, self.volume.stored_dtype())
    }

    /// ``"intensity"`` or ``"label"``.
    #[getter]
    fn kind(&self) -> String {
        self.volume.kind().to_string()
    }

    /// Millimetres between voxels along the spatial axes.
    #[getter]
    fn spacing(&self) -> (f64, f64, f64) {
        self.axes.flip(self.volume.spacing().mm()).into()
    }

    /// The matrix, 4 x 4 float64, that takes a voxel's indices ``(x, y, z, 1)`` (in this order
    /// whatever `axes` is) to RAS+ millimetres, as nibabel's.
    #[getter]
    fn affine<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        arguments::matrix(py, self.volume.affine().0)
    }

    /// Lengths of a chunk, the unit that is compressed and read, along the spatial axes.
    #[getter]
    fn chunks(&self) -> (usize, usize, usize) {
        self.axes.flip(self.volume.layout().chunk).into()
    }

    /// Lengths of a shard, a file of many chunks, along the spatial axes.
    #[getter]
    fn shards(&self) -> (usize, usize, usize) {
        self.axes.flip(self.volume.layout().shard).into()
    }

    /// The codec of chunks, with its level.
    #[getter]
    fn codec(&self) -> String {
        self.volume.layout().codec.to_string()
    }

    /// Digest of the stored voxels, independent of their layout.
    #[getter]
    fn digest(&self) -> &str {
        self.volume.voxel_digest()
    }

    /// Slope and intercept from voxels to real values, or None if they are equal.
    #[getter]
    fn scaling(&self) -> Option<(f64, f64)> {
        self.volume.attributes().scaling.map(|scaling| (scaling.slope, scaling.intercept))
    }

    /// Numbers of voxels of each label, ``{label: voxels}``.
    ///
    /// Raises:
    ///     `InvalidArgumentError`: For a volume of intensities.
    fn label_counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = PyDict::new(py);
        let Statistics::Label(labels) = &self.volume.attributes().statistics else {
            let reason = "it holds intensities: only label maps have counts";
            return Err(crate::error::invalid(py, "volume", self.name(), reason));
        };
        for count in &labels.labels {
            counts.set_item(count.label, count.voxels)?;
        }
        Ok(counts)
    }

    /// Names of labels, ``{label: name}``, as far as the conversion was given them.
    fn label_names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let names = PyDict::new(py);
        for label in &self.volume.attributes().labels {
            names.set_item(label.value(), label.name())?;
        }
        Ok(names)
    }

    /// Everything that is known of the volume without reading voxels, as plain objects; triples in
    /// it are in ``z, y, x`` order. The same as ``voxpatch info --json``.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        arguments::report(py, &self.volume.info())
    }

    /// The z-score of the whole volume: mean 0, standard deviation 1.
    fn z_score(&self, py: Python<'_>) -> PyResult<Normalise> {
        self.volume.z_score().raise(py).map(Normalise)
    }

    /// The z-score of values clipped to the percentiles `low` and `high` (0 to 100), mean and
    /// deviation being those of the clipped values: as nnU-Net does for CT.
    fn clipped_z_score(&self, py: Python<'_>, low: f64, high: f64) -> PyResult<Normalise> {
        self.volume.clipped_z_score(low, high).raise(py).map(Normalise)
    }

    /// The percentiles `low` and `high` (0 to 100) mapped to 0 and 1, values outside clipped.
    fn percentile_range(&self, py: Python<'_>, low: f64, high: f64) -> PyResult<Normalise> {
        self.volume.percentile_range(low, high).raise(py).map(Normalise)
    }

    /// Reads a patch.
    ///
    /// Args:
    ///     start: The first voxel, in the order of `axes`; may be negative with `pad`.
    ///     shape: The shape of the patch in voxels; a number stands for a cube.
    ///     pad: The value outside of the volume, or a mode of `numpy.pad`: ``"edge"``,
    ///         ``"reflect"``, ``"symmetric"`` or ``"wrap"``. Without it, a read beyond the border
    ///         is an error.
    ///     dtype: Voxels are converted to this type, without scaling.
    ///     scaled: Real values, slope and intercept applied, as float32.
    ///     normalise: A `Normalise`, or ``"z_score"``: normalised real values, as float32.
    ///     flip: An axis or several to mirror the patch along, as of `numpy.flip`.
    ///     time: The time point, of a volume that has several.
    ///     channel: The channel. Without it all channels of a volume that has several are read, on
    ///         an axis before the spatial ones.
    ///     frames: ``"all"`` reads all time points and channels, as channels.
    ///     out: An array to read into, of the patch's type and shape; of any strides.
    ///
    /// Returns:
    ///     A new array of shape ``([c,] *shape)``: writeable, aligned to 64 bytes, in C order for
    ///     ``axes="zyx"`` and the reverse of it for ``"xyz"``; or `out`.
    ///
    /// Raises:
    ///     `OutOfBoundsError`: The patch leaves the volume and `pad` is not given.
    ///     `ReplacedError`: The volume was replaced: open it again.
    ///     `CorruptStoreError`: A chunk differs from the one that was written.
    ///     `InvalidArgumentError`: An argument makes no sense; the message says which.
    #[pyo3(signature = (start, shape, *, pad=None, dtype=None, scaled=false, normalise=None, flip=None, time=None, channel=None, frames=None, out=None))]
    #[allow(clippy::too_many_arguments, reason = "keywords")]
    fn read<'py>(
        &self,
        py: Python<'py>,
        start: &Bound<'py, PyAny>,
        shape: &Bound<'py, PyAny>,
        pad: Option<&Bound<'py, PyAny>>,
        dtype: Option<&Bound<'py, PyAny>>,
        scaled: bool,
        normalise: Option<&Bound<'py, PyAny>>,
        flip: Option<&Bound<'py, PyAny>>,
        time: Option<usize>,
        channel: Option<usize>,
        frames: Option<&str>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let start = arguments::start(start, self.axes)?;
        let shape = arguments::shape(shape, "shape", self.axes)?;
        let options = Options { pad, dtype, scaled, normalise, flip, time, channel, frames };
        let shown = Shown::of(py, &self.volume, self.axes, &options)?;
        reading::patch(py, &shown, Region { start, shape }, self.axes, out)
    }

    /// Reads patches of one shape. A chunk that several of them need is decoded once, and threads
    /// share the work. After an exception `out` holds anything.
    ///
    /// Args:
    ///     starts: The first voxel of each patch: an array of shape ``(n, 3)``, or triples.
    ///     shape: The shape of all patches.
    ///     threads: Number of threads; by default one for each processor.
    ///
    /// The other arguments are those of `read`.
    ///
    /// Returns:
    ///     An array of shape ``(n, [c,] *shape)``, or `out`.
    #[pyo3(signature = (starts, shape, *, pad=None, dtype=None, scaled=false, normalise=None, flip=None, time=None, channel=None, frames=None, out=None, threads=None))]
    #[allow(clippy::too_many_arguments, reason = "keywords")]
    fn read_many<'py>(
        &self,
        py: Python<'py>,
        starts: &Bound<'py, PyAny>,
        shape: &Bound<'py, PyAny>,
        pad: Option<&Bound<'py, PyAny>>,
        dtype: Option<&Bound<'py, PyAny>>,
        scaled: bool,
        normalise: Option<&Bound<'py, PyAny>>,
        flip: Option<&Bound<'py, PyAny>>,
        time: Option<usize>,
        channel: Option<usize>,
        frames: Option<&str>,
        out: Option<&Bound<'py, PyAny>>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut places = Vec::new();
        for start in starts.try_iter()? {
            places.push(arguments::start(&start?, self.axes)?);
        }
        let shape = arguments::shape(shape, "shape", self.axes)?;
        let options = Options { pad, dtype, scaled, normalise, flip, time, channel, frames };
        let shown = Shown::of(py, &self.volume, self.axes, &options)?;
        let pool = pools::pool(threads).raise(py)?;
        reading::patches(py, &shown, &places, shape, self.axes, out, &pool)
    }

    /// Tells the disk to get the chunks of a region, without waiting for them.
    fn prefetch(
        &self,
        py: Python<'_>,
        start: &Bound<'_, PyAny>,
        shape: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let start = arguments::start(start, self.axes)?;
        let shape = arguments::shape(shape, "shape", self.axes)?;
        py.detach(|| self.volume.prefetch(Region { start, shape })).raise(py)
    }

    /// Indexing as numpy's, by whole numbers, slices (of any step) and an ellipsis. Only the chunks
    /// that the chosen voxels lie in are read.
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        index::get(py, &self.volume, &self.full_shape(), self.axes, index)
    }

    /// All voxels, for ``numpy.asarray``.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if copy == Some(false) {
            let reason = "a volume lies on disk, so an array of it is always a copy";
            return Err(pyo3::exceptions::PyValueError::new_err(reason));
        }
        let all = pyo3::types::PyEllipsis::get(py).to_owned();
        let array = index::get(py, &self.volume, &self.full_shape(), self.axes, all.as_any())?;
        match dtype {
            None => Ok(array),
            Some(dtype) => {
                let options = PyDict::new(py);
                options.set_item("copy", false)?;
                array.call_method("astype", (dtype,), Some(&options))
            }
        }
    }

    /// The volume as a dask array, one task for each shard. Needs dask.
    fn to_dask<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("voxpatch._dask")?.call_method1("to_dask", (slf,))
    }

    /// The name by which dask knows that two volumes have the same voxels.
    fn __dask_tokenize__(&self) -> (String, &'static str, &str) {
        (self.name(), self.axes.name(), self.digest())
    }

    fn __len__(&self) -> usize {
        self.full_shape()[0]
    }

    #[allow(clippy::unused_self, reason = "Python gives it")]
    fn __iter__(&self) -> PyResult<()> {
        let reason = "a volume is not read index by index: loop over slices, volume[a:b]";
        Err(PyTypeError::new_err(reason))
    }

    fn __eq__(&self, other: &Self) -> bool {
        (&self.store, self.volume.name(), self.axes, self.digest())
            == (&other.store, other.volume.name(), other.axes, other.digest())
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (&self.store, self.name(), self.digest()).hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        describe::text(&self.volume, self.axes)
    }

    fn _repr_html_(&self) -> String {
        describe::html(&self.volume, self.axes)
    }

    /// Pickles as path, name, order of axes and digest: the volume is opened again where it is
    /// unpickled.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let open = py.import("voxpatch._voxpatch")?.getattr("_open_volume")?;
        let of = (&self.store, self.name(), self.axes.name(), self.digest());
        Ok((open, of.into_pyobject(py)?))
    }
}

/// Opens a volume that was pickled, which must not have been replaced since.
#[pyfunction]
pub fn _open_volume(
    py: Python<'_>,
    store: PathBuf,
    name: &str,
    axes: &str,
    digest: &str,
) -> PyResult<Volume> {
    let axes = Axes::parse(py, axes)?;
    let opened = py.detach(|| voxpatch::Dataset::open(&store)?.volume(name));
    let volume = opened.raise(py)?;
    if volume.voxel_digest() != digest {
        return Err(raised(py, &Error::Replaced { path: store.join(name) }));
    }
    Ok(Volume { volume, store, axes })
}
