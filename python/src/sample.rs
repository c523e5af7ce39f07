//! Samplers, and the places that they draw from a volume. The classes of `voxpatch._sample` describe
//! samplers; here they are made.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;
use voxpatch::sample::{
    Border, Choice, Draw, ForegroundSampler, GridSampler, JitterSampler, LabelSampler, Overlap,
    Regions, Traversal, UniformSampler, WeightedSampler,
};

use crate::arguments::{self, Axes};
use crate::error::{Raise, invalid};
use crate::sampler_of_caller::CallersSampler;
use crate::volume::Volume;

/// A sampler, made for one order of axes.
#[pyclass(frozen, module = "voxpatch._voxpatch")]
pub struct Sampler {
    pub sampler: Arc<dyn voxpatch::sample::Sampler>,
    /// The sampler again, if it is a grid.
    pub grid: Option<GridSampler>,
    /// Set by a `KeyboardInterrupt` within a sampler in Python.
    pub interrupted: Arc<AtomicBool>,
    axes: Axes,
}

fn border(py: Python<'_>, name: &str) -> PyResult<Border> {
    match name {
        "clamp" => Ok(Border::Clamp),
        "mask" => Ok(Border::Mask),
        _ => Err(invalid(py, "border", name, "give \"clamp\" or \"mask\"")),
    }
}

impl Sampler {
    fn new(axes: Axes, sampler: impl voxpatch::sample::Sampler + 'static) -> Self {
        Self { sampler: Arc::new(sampler), grid: None, interrupted: Arc::default(), axes }
    }
}

#[pymethods]
impl Sampler {
    #[staticmethod]
    fn uniform(
        py: Python<'_>,
        axes: &str,
        patch: &Bound<'_, PyAny>,
        pad_small_volumes: bool,
    ) -> PyResult<Self> {
        let axes = Axes::parse(py, axes)?;
        let sampler = UniformSampler::new(arguments::shape(patch, "patch", axes)?).raise(py)?;
        Ok(Self::new(axes, sampler.pad_small_volumes(pad_small_volumes)))
    }

    #[staticmethod]
    fn label(
        py: Python<'_>,
        axes: &str,
        patch: &Bound<'_, PyAny>,
        weights: Option<Vec<(i64, f64)>>,
        by: &str,
        at_border: &str,
        pad_small_volumes: bool,
    ) -> PyResult<Self> {
        let axes = Axes::parse(py, axes)?;
        let (patch, weights) = (arguments::shape(patch, "patch", axes)?, weights.as_deref());
        let sampler = match by {
            "class" => LabelSampler::per_class(patch, weights),
            "voxel" => LabelSampler::per_voxel(patch, weights),
            _ => return Err(invalid(py, "by", by, "give \"class\" or \"voxel\"")),
        };
        let sampler = sampler.raise(py)?.border(border(py, at_border)?);
        Ok(Self::new(axes, sampler.pad_small_volumes(pad_small_volumes)))
    }

    #[staticmethod]
    fn weighted(
        py: Python<'_>,
        axes: &str,
        patch: &Bound<'_, PyAny>,
        at_border: &str,
        pad_small_volumes: bool,
    ) -> PyResult<Self> {
        let axes = Axes::parse(py, axes)?;
        let sampler = WeightedSampler::new(arguments::shape(patch, "patch", axes)?).raise(py)?;
        let sampler = sampler.border(border(py, at_border)?);
        Ok(Self::new(axes, sampler.pad_small_volumes(pad_small_volumes)))
    }

    /// Foreground and background in the ratio of `pos` and `neg`; with a `share`, patches of
    /// foreground with this probability, others anywhere.
    #[staticmethod]
    #[allow(clippy::too_many_arguments, reason = "keywords")]
    fn foreground(
        py: Python<'_>,
        axes: &str,
        patch: &Bound<'_, PyAny>,
        pos: f64,
        neg: f64,
        share: Option<f64>,
        at_border: &str,
        pad_small_volumes: bool,
    ) -> PyResult<Self> {
        let axes = Axes::parse(py, axes)?;
        let patch = arguments::shape(patch, "patch", axes)?;
        let sampler = match share {
            Some(share) => ForegroundSampler::oversample(patch, share),
            None => ForegroundSampler::pos_neg(patch, pos, neg),
        };
        let sampler = sampler.raise(py)?.border(border(py, at_border)?);
        Ok(Self::new(axes, sampler.pad_small_volumes(pad_small_volumes)))
    }

    #[staticmethod]
    #[allow(clippy::too_many_arguments, reason = "keywords")]
    fn grid(
        py: Python<'_>,
        axes: &str,
        patch: &Bound<'_, PyAny>,
        overlap: &Bound<'_, PyAny>,
        tile_step_size: Option<&Bound<'_, PyAny>>,
        pad_borders: bool,
        pad_small_volumes: bool,
        traversal: &str,
    ) -> PyResult<Self> {
        let axes = Axes::parse(py, axes)?;
        let overlap = match (tile_step_size, arguments::shape(overlap, "overlap", axes)) {
            (Some(share), Ok([0, 0, 0])) => match share.extract() {
                Ok(share) => Overlap::TileStep([share; 3]),
                Err(_) => Overlap::TileStep(axes.flip(share.extract()?)),
            },
            (Some(share), _) => {
                let reason = "give no overlap beside it: patches are spread evenly";
                return Err(invalid(py, "tile_step_size", share, reason));
            }
            (None, Ok(voxels)) => Overlap::Voxels(voxels),
            (None, Err(error)) => match (overlap.extract(), overlap.extract::<[f64; 3]>()) {
                (Ok(share), _) => Overlap::Fraction([share; 3]),
                (_, Ok(shares)) => Overlap::Fraction(axes.flip(shares)),
                _ => return Err(error),
            },
        };
        let traversal = match traversal {
            "lexicographic" => Traversal::Lexicographic,
            "morton" => Traversal::Morton,
            _ => {
                let reason = "give \"lexicographic\" or \"morton\"";
                return Err(invalid(py, "traversal", traversal, reason));
            }
        };
        let sampler =
            GridSampler::new(arguments::shape(patch, "patch", axes)?, overlap).raise(py)?;
        let sampler = sampler.pad_borders(pad_borders).pad_small_volumes(pad_small_volumes);
        let sampler = sampler.traversal(traversal);
        Ok(Self { grid: Some(sampler.clone()), ..Self::new(axes, sampler) })
    }

    /// A sampler in Python: an object with `patch` and `draw(shape, index, seed, epoch)`.
    #[staticmethod]
    fn of_caller(py: Python<'_>, axes: &str, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let axes = Axes::parse(py, axes)?;
        let patch = arguments::shape(&object.getattr("patch")?, "patch", axes)?;
        let sampler = CallersSampler::new(object, patch, axes);
        let interrupted = Arc::clone(&sampler.interrupted);
        Ok(Self { interrupted, ..Self::new(axes, sampler) })
    }

    /// The draws of this sampler, moved by up to so many voxels.
    fn jittered(&self, py: Python<'_>, by: &Bound<'_, PyAny>) -> PyResult<Self> {
        let by = arguments::shape(by, "jitter", self.axes)?;
        let sampler = JitterSampler::new(Arc::clone(&self.sampler), by).raise(py)?;
        let interrupted = Arc::clone(&self.interrupted);
        Ok(Self { interrupted, ..Self::new(self.axes, sampler) })
    }

    /// Prepares the draws from a volume.
    fn prepare(&self, py: Python<'_>, volume: &Bound<'_, Volume>) -> PyResult<Places> {
        let volume = volume.get().volume.clone();
        let regions = py.detach(|| self.sampler.prepare(Arc::new(volume))).raise(py)?;
        Ok(Places { regions, axes: self.axes })
    }
}

/// The places that a sampler draws from one volume. A place follows from seed, epoch and index
/// alone.
#[pyclass(frozen, module = "voxpatch", name = "Regions")]
pub struct Places {
    regions: Arc<dyn Regions>,
    axes: Axes,
}

#[pymethods]
impl Places {
    /// The number of different draws, or None if draws are random without end.
    #[getter]
    fn count(&self) -> Option<u64> {
        self.regions.count()
    }

    /// One place.
    ///
    /// Returns:
    ///     A `Sample` with the start and the shape of the patch, and how the place was chosen.
    #[pyo3(signature = (index, seed=0, epoch=0))]
    fn draw(&self, py: Python<'_>, index: u64, seed: u64, epoch: u64) -> PyResult<Sample> {
        let draw = Draw { seed, epoch, index };
        let sample = py.detach(|| self.regions.draw(draw)).raise(py)?;
        let region = sample.region;
        Ok(Sample {
            start: self.axes.flip(region.start),
            shape: self.axes.flip(region.shape),
            choice: sample.choice,
        })
    }

    /// Several places: their starts, int64, of shape ``(n, 3)``.
    #[pyo3(signature = (indices, seed=0, epoch=0))]
    fn draw_many<'py>(
        &self,
        py: Python<'py>,
        indices: Vec<u64>,
        seed: u64,
        epoch: u64,
    ) -> PyResult<Bound<'py, PyArray2<i64>>> {
        let draw = |index| self.regions.draw(Draw { seed, epoch, index });
        let starts =
            py.detach(|| indices.into_iter().map(draw).collect::<voxpatch::Result<Vec<_>>>());
        let starts =
            starts.raise(py)?.into_iter().map(|sample| self.axes.flip(sample.region.start));
        Ok(rows(starts).into_pyarray(py))
    }
}

/// Triples as the rows of an array.
pub fn rows(triples: impl ExactSizeIterator<Item = [i64; 3]>) -> Array2<i64> {
    let count = triples.len();
    Array2::from_shape_vec((count, 3), triples.flatten().collect()).expect("three of each")
}

/// A place that was drawn.
#[pyclass(frozen, module = "voxpatch")]
pub struct Sample {
    start: [i64; 3],
    shape: [usize; 3],
    choice: Choice,
}

#[pymethods]
impl Sample {
    /// The first voxel of the patch, in the order of the volume's axes.
    #[getter]
    fn start(&self) -> (i64, i64, i64) {
        self.start.into()
    }

    /// The shape of the patch.
    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        self.shape.into()
    }

    /// How the place was chosen: ``"uniform"``, ``"weight"``, ``"background"``, or a pair such as
    /// ``("class", 2)`` or ``("grid", 17)``.
    #[getter]
    fn choice<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        choice(py, self.choice)
    }

    fn __repr__(&self) -> String {
        format!("Sample(start={:?}, shape={:?})", self.start, self.shape)
    }
}

/// How a place was chosen, as Python has it.
pub fn choice(py: Python<'_>, choice: Choice) -> PyResult<Bound<'_, PyAny>> {
    Ok(match choice {
        Choice::Class(label) => ("class", label).into_pyobject(py)?.into_any(),
        Choice::Grid(number) => ("grid", number).into_pyobject(py)?.into_any(),
        Choice::Weight => "weight".into_pyobject(py)?.into_any(),
        Choice::Background => "background".into_pyobject(py)?.into_any(),
        _ => "uniform".into_pyobject(py)?.into_any(),
    })
}

/// The starts of a grid's places on a volume of this shape.
#[pyfunction]
pub fn _grid<'py>(
    py: Python<'py>,
    sampler: &Bound<'py, Sampler>,
    shape: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray2<i64>>> {
    let sampler = sampler.get();
    let axes = sampler.axes;
    let shape = arguments::shape(shape, "shape", axes)?;
    let grid = sampler.grid.as_ref().expect("made of a GridSampler").grid(shape).raise(py)?;
    let starts: Vec<_> = grid.regions().map(|region| axes.flip(region.start)).collect();
    Ok(rows(starts.into_iter()).into_pyarray(py))
}
