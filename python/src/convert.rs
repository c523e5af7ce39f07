//! Scans become volumes.

use std::path::PathBuf;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use voxpatch::scan::{self, Found, Order, PlaneScan, Planes, Scan, ScanHeader};
use voxpatch::{Affine, ConvertOptions, Frame, LabelName, VolumeName};

use crate::dataset::Dataset;
use crate::error::{Raise, invalid};
use crate::layout::Layout;
use crate::memory::{Kept, known_dtype};
use crate::{arguments, pools, work};

/// The keyword arguments of a conversion, beside those of its layout.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Words {
    kind: Option<String>,
    fourth_axis: Option<String>,
    narrow: bool,
    labels: Option<Vec<(i64, String)>>,
    overwrite: bool,
    skip_same: bool,
    threads: Option<usize>,
}

impl Words {
    fn options(&self, py: Python<'_>, layout: &Layout<'_>) -> PyResult<ConvertOptions> {
        let (plan, tried) = layout.options(py)?;
        let labels = self.labels.iter().flatten();
        let labels = labels.map(|(value, name)| LabelName::new(*value, name, None));
        Ok(ConvertOptions::default()
            .workload(layout.workload(py)?)
            .plan(plan)
            .codecs(tried)
            .kind(self.kind.as_deref().map(|kind| arguments::parsed(py, kind)).transpose()?)
            .fourth_axis(
                self.fourth_axis.as_deref().map(|axis| arguments::parsed(py, axis)).transpose()?,
            )
            .narrow(self.narrow)
            .labels(labels.collect::<voxpatch::Result<_>>().raise(py)?)
            .overwrite(self.overwrite))
    }
}

/// Converts one scan of one or several files; see `voxpatch.convert`.
#[pyfunction]
pub fn _convert_files<'py>(
    py: Python<'py>,
    files: Vec<PathBuf>,
    dataset: &Bound<'py, Dataset>,
    name: Option<&str>,
    layout: Layout<'py>,
    words: Words,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = words.options(py, &layout)?;
    let found = py.detach(|| scan::find(&files)).raise(py)?;
    let found = match found.len() {
        1 => found.into_iter().next().expect("one"),
        _ if files.len() > 1 => Found::channels(found).raise(py)?,
        n => {
            let reason = format!("{n} scans are there: give one of them");
            return Err(invalid(py, "scan", files[0].display(), reason));
        }
    };
    let name: VolumeName = match name {
        Some(name) => arguments::parsed(py, name)?,
        None => VolumeName::for_file(found.files()[0]),
    };
    let (scan, digest) = py.detach(|| Ok((found.open()?, found.digest()?))).raise(py)?;
    let options = options.source_digest(Some(digest));
    let to = &dataset.get().dataset;
    if words.skip_same && py.detach(|| voxpatch::is_converted(to, &name, &options)).raise(py)? {
        return Ok(py.None().into_bound(py));
    }
    run(py, scan, to, &name, &options, words.threads, progress)
}

/// Converts an array of axes `z, y, x`, or `c, z, y, x`, in C order; see `voxpatch.convert`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "what a file's header says")]
pub fn _convert_array<'py>(
    py: Python<'py>,
    array: &Bound<'py, PyUntypedArray>,
    affine: [[f64; 4]; 4],
    dataset: &Bound<'py, Dataset>,
    name: &str,
    layout: Layout<'py>,
    words: Words,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = words.options(py, &layout)?;
    let scan = PlaneScan::new(ArrayPlanes::new(array, affine)?);
    let (to, name) = (&dataset.get().dataset, arguments::parsed(py, name)?);
    run(py, Box::new(scan), to, &name, &options, words.threads, progress)
}

fn run<'py>(
    py: Python<'py>,
    scan: Box<dyn Scan>,
    dataset: &voxpatch::Dataset,
    name: &VolumeName,
    options: &ConvertOptions,
    threads: Option<usize>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let pool = pools::pool(threads).raise(py)?;
    let header = scan.header();
    // A survey reads the scan once more, and trying codecs its first frame.
    let passes = 1 + usize::from(options.surveys(header));
    let frames = passes * header.frames() + usize::from(!options.codecs.is_empty());
    let total = (frames * header.plane_bytes() * header.shape[0]) as u64;
    let convert =
        |report: work::Report<'_>| voxpatch::convert(scan, dataset, name, options, &pool, report);
    let report = work::run(py, total, progress, convert)?;
    arguments::report(py, &report)
}

/// The planes of an array.
struct ArrayPlanes {
    voxels: Kept,
    header: ScanHeader,
}

impl ArrayPlanes {
    fn new(array: &Bound<'_, PyUntypedArray>, affine: [[f64; 4]; 4]) -> PyResult<Self> {
        let py = array.py();
        let (channels, shape) = match *array.shape() {
            [z, y, x] => (1, [z, y, x]),
            [c, z, y, x] => (c, [z, y, x]),
            _ => {
                let reason = "give axes z, y, x, or c, z, y, x";
                return Err(invalid(py, "shape of scan", format!("{:?}", array.shape()), reason));
            }
        };
        if channels == 0 || shape.contains(&0) {
            let reason = "there are no voxels";
            return Err(invalid(py, "shape of scan", format!("{:?}", array.shape()), reason));
        }
        let Some(dtype) = known_dtype(&array.dtype()) else {
            let reason = "give numbers of 8 to 64 bits in this machine's byte order";
            return Err(invalid(py, "dtype of scan", array.dtype(), reason));
        };
        let affine = Affine(affine);
        let header = ScanHeader {
            dtype,
            shape,
            times: 1,
            channels,
            order: Order::Frames,
            affine,
            space: None,
            spacing: affine.spacing().raise(py)?,
            time_step: None,
            scaling: None,
            plane_scalings: Vec::new(),
            is_label: false,
            format: "numpy",
            fields: serde_json::Map::new(),
            findings: Vec::new(),
        };
        Ok(Self { voxels: Kept::of(array)?, header })
    }
}

impl Planes for ArrayPlanes {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn read_plane(&self, frame: Frame, z: usize, out: &mut [u8]) -> voxpatch::Result<()> {
        let plane = frame.channel * self.header.shape[0] + z;
        out.copy_from_slice(&self.voxels.bytes()[plane * out.len()..][..out.len()]);
        Ok(())
    }
}
