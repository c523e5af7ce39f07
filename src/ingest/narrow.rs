//! Narrowing: voxels of a scan become the narrowest integers that hold each of them exactly.

use crate::scan::{Scan, ScanHeader};
use crate::widening::Widening;
use crate::{Dtype, Element, Error, Finding, Frame, Result, with_element};

/// Bytes of planes that are read at a time; a larger plane is read alone.
const BATCH: usize = 1 << 20;

/// The scan, at its first plane: narrowed if possible. The finding names the type, or the obstacle.
///
/// Reads the scan through, or until it is clear that it cannot be narrowed. `progress` counts all
/// bytes of the scan in either case, so that two passes always count twice the bytes.
pub(super) fn narrow(
    mut scan: Box<dyn Scan>,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<(Box<dyn Scan>, Finding)> {
    let dtype = scan.header().dtype;
    let survey = with_element!(dtype, T => survey::<T>(&mut *scan, progress))?;
    scan.rewind()?;
    Ok(match survey {
        Survey::Narrow { widening, values } => {
            let narrow = widening.from;
            let told =
                format!("stored as {narrow}, narrowed from {dtype}: the voxels are {values}");
            (Box::new(Narrowed::new(scan, widening)?), Finding::decided(told))
        }
        Survey::AsItIs { reason } => {
            (scan, Finding::decided(format!("voxels stay {dtype}, not narrowed: {reason}")))
        }
    })
}

/// The result of reading all voxels.
enum Survey {
    /// The type that holds them, and a description of the voxels.
    Narrow { widening: &'static Widening, values: String },
    /// No narrower type holds them.
    AsItIs { reason: String },
}

/// Reads voxels until the end, or until no narrower type holds them all.
fn survey<T: Element>(
    scan: &mut dyn Scan,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Survey> {
    let header = scan.header();
    // Interleaved frames are read together.
    let together = header.shape[0] * header.step_bytes();
    let groups = header.frames() / header.order.group();
    let mut left = (together * groups) as u64;
    let count = |bytes| if progress(bytes) { Ok(()) } else { Err(Error::Cancelled) };
    if Widening::to(T::DTYPE).next().is_none() {
        count(left)?;
        let reason = match T::DTYPE {
            Dtype::Float16 => "floats of 16 bits never are",
            _ => "no type takes fewer bytes",
        }
        .to_owned();
        return Ok(Survey::AsItIs { reason });
    }
    let mut planes = planes(header)?;
    let mut found: Option<(Range<T>, &'static Widening)> = None;
    for _ in 0..groups {
        let mut frame_left = together;
        while frame_left > 0 {
            let bytes = planes.len().min(frame_left);
            let batch = &mut planes[..bytes];
            scan.read_planes(batch)?;
            let range = Range::around(found.map(|(range, _)| range), batch);
            // The range decides which type may fit, and every voxel whether it does.
            let widening = range.narrowest().filter(|widening| widening.holds(batch));
            let Some(widening) = widening else {
                count(left)?;
                return Ok(Survey::AsItIs { reason: range.why_not(batch) });
            };
            found = Some((range, widening));
            count(bytes as u64)?;
            left -= bytes as u64;
            frame_left -= bytes;
        }
    }
    let (range, widening) = found.expect("a scan has voxels");
    let values = format!("whole numbers from {:?} to {:?}", range.least, range.greatest);
    Ok(Survey::Narrow { widening, values })
}

/// The least and the greatest voxel. NaN is neither, unless it is the first voxel.
#[derive(Clone, Copy)]
struct Range<T> {
    least: T,
    greatest: T,
}

impl<T: Element> Range<T> {
    /// The range of all voxels so far and of a batch.
    fn around(before: Option<Self>, batch: &[u8]) -> Self {
        let first = bytemuck::pod_read_unaligned(&batch[..size_of::<T>()]);
        let before = before.unwrap_or(Self { least: first, greatest: first });
        voxels(batch).fold(before, |Self { least, greatest }, voxel: T| Self {
            least: if voxel < least { voxel } else { least },
            greatest: if voxel > greatest { voxel } else { greatest },
        })
    }

    /// The narrowest type that holds the whole range.
    fn narrowest(&self) -> Option<&'static Widening> {
        let ends = [self.least, self.greatest];
        Widening::to(T::DTYPE).find(|widening| widening.holds(bytemuck::cast_slice(&ends)))
    }

    /// Why no narrower type holds all voxels up to the end of a batch.
    fn why_not(&self, batch: &[u8]) -> String {
        let nowhere = |voxel: &T| {
            !Widening::to(T::DTYPE).any(|widening| widening.holds(bytemuck::bytes_of(voxel)))
        };
        let none = "no integer type of fewer bytes holds";
        if let Some(voxel) = voxels::<T>(batch).find(nowhere) {
            return format!("a voxel is {voxel:?}, which {none} exactly");
        }
        let Self { least, greatest } = self;
        format!("voxels are {least:?} and {greatest:?}, and {none} both")
    }
}

fn voxels<T: Element>(bytes: &[u8]) -> impl Iterator<Item = T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned)
}

/// A buffer for the planes that are read at a time, of all interleaved frames.
pub(super) fn planes(header: &ScanHeader) -> Result<Vec<u8>> {
    let step = header.step_bytes();
    let bytes = step * (BATCH / step).clamp(1, header.shape[0]);
    bytemuck::allocation::try_zeroed_vec(bytes).map_err(|()| {
        let reason = "are more than memory can hold at once";
        Error::invalid("bytes of a plane", step, reason)
    })
}

/// A scan that delivers the voxels of an inner scan as narrower integers.
struct Narrowed {
    scan: Box<dyn Scan>,
    header: ScanHeader,
    widening: &'static Widening,
    /// Buffer for planes of the inner scan.
    planes: Vec<u8>,
}

impl Narrowed {
    fn new(scan: Box<dyn Scan>, widening: &'static Widening) -> Result<Self> {
        let planes = planes(scan.header())?;
        let header = ScanHeader { dtype: widening.from, ..scan.header().clone() };
        Ok(Self { scan, header, widening, planes })
    }
}

impl Scan for Narrowed {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn frame(&self, n: usize) -> Frame {
        self.scan.frame(n)
    }

    fn read_planes(&mut self, out: &mut [u8]) -> Result<()> {
        let (wide, narrow) = (self.widening.to.size(), self.widening.from.size());
        for out in out.chunks_mut(self.planes.len() / wide * narrow) {
            let planes = &mut self.planes[..out.len() / narrow * wide];
            self.scan.read_planes(planes)?;
            if !self.widening.narrow(planes, out) {
                let reason = "its voxels changed while it was being read; convert it again";
                return Err(Error::invalid("scan", self.header.format, reason));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<Finding>> {
        self.scan.finish()
    }

    fn rewind(&mut self) -> Result<()> {
        self.scan.rewind()
    }
}
