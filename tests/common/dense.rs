//! Volumes in memory: scans to convert, and oracles to compare with.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use ndarray::{Array3, Array5};
use voxpatch::VolumeName;
use voxpatch::disk::Disk;
use voxpatch::scan::{Order, Scan, ScanHeader};
use voxpatch::{
    Affine, ConvertOptions, ConvertReport, Dataset, Element, Finding, Frame, Padding, Pool, Region,
    Result, Spacing, convert,
};

/// A scan of voxels that are in memory, axes t, c, z, y, x.
pub struct DenseScan {
    header: ScanHeader,
    bytes: Vec<u8>,
    at: usize,
}

impl DenseScan {
    pub fn new<T: Element>(voxels: &Array5<T>) -> Self {
        let spacing = Spacing::new([2.5, 0.7, 0.8]).unwrap();
        let (times, channels, z, y, x) = voxels.dim();
        let header = ScanHeader {
            dtype: T::DTYPE,
            shape: [z, y, x],
            times,
            channels,
            order: Order::Frames,
            affine: Affine::from_spacing(spacing),
            space: None,
            spacing,
            time_step: None,
            scaling: None,
            plane_scalings: Vec::new(),
            is_label: false,
            format: "dense",
            fields: serde_json::Map::new(),
            findings: Vec::new(),
        };
        let voxels = voxels.as_standard_layout();
        let bytes = bytemuck::cast_slice(voxels.as_slice().unwrap()).to_vec();
        Self { header, bytes, at: 0 }
    }

    /// The same voxels, delivered in another order.
    pub fn ordered<T: Element>(voxels: &Array5<T>, order: Order) -> Self {
        let (times, channels, z, y, x) = voxels.dim();
        let group = order.group();
        let groups = voxels.as_standard_layout().into_owned();
        let groups = groups.into_shape_with_order((times * channels / group, group, z, y, x));
        let axes = match order {
            Order::Frames => [0, 1, 2, 3, 4],
            Order::Planes(_) => [0, 2, 1, 3, 4],
            Order::Voxels(_) => [0, 2, 3, 4, 1],
        };
        let delivered = groups.unwrap().permuted_axes(axes);
        let delivered = delivered.as_standard_layout();
        let mut scan = Self::new(voxels);
        scan.header.order = order;
        scan.bytes = bytemuck::cast_slice(delivered.as_slice().unwrap()).to_vec();
        scan
    }

    pub fn header_mut(&mut self) -> &mut ScanHeader {
        &mut self.header
    }
}

impl Scan for DenseScan {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn frame(&self, n: usize) -> Frame {
        Frame { time: n / self.header.channels, channel: n % self.header.channels }
    }

    fn read_planes(&mut self, out: &mut [u8]) -> Result<()> {
        out.copy_from_slice(&self.bytes[self.at..self.at + out.len()]);
        self.at += out.len();
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<Finding>> {
        assert_eq!(self.at, self.bytes.len(), "every plane is read once");
        Ok(Vec::new())
    }

    fn rewind(&mut self) -> Result<()> {
        self.at = 0;
        Ok(())
    }
}

/// Voxels that differ from place to place, with runs of zeros among them.
pub fn voxels<T: Element>(shape: [usize; 5], seed: u64) -> Array5<T> {
    let [t, c, z, y, x] = shape;
    let mut n = seed;
    Array5::from_shape_fn((t, c, z, y, x), |(_, _, z, y, x)| {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = (n >> 60) as f64;
        let smooth = ((z * 7 + y * 3 + x) % 90) as f64;
        if (z / 3 + y / 5) % 4 == 0 { T::default() } else { T::from_f64(smooth + noise) }
    })
}

/// Converts into `name` with one thread and no progress.
pub fn store(
    scan: DenseScan,
    dataset: &Dataset,
    name: &str,
    options: &ConvertOptions,
) -> Result<ConvertReport> {
    let name: VolumeName = name.parse()?;
    convert(Box::new(scan), dataset, &name, options, &Pool::new(1)?, &|_| true)
}

/// A dataset on a disk that the test chooses.
pub fn dataset_on(disk: Disk) -> Dataset {
    Dataset::create_on(disk).unwrap()
}

/// The region by the rules of `numpy.pad`, voxel by voxel.
pub fn oracle<T: Element>(volume: &Array3<T>, region: Region, padding: Padding) -> Array3<T> {
    let (sz, sy, sx) = volume.dim();
    Array3::from_shape_fn(region.shape, |(z, y, x)| {
        let at = [
            source(region.start[0] + z as i64, sz as i64, padding),
            source(region.start[1] + y as i64, sy as i64, padding),
            source(region.start[2] + x as i64, sx as i64, padding),
        ];
        match at {
            [Some(z), Some(y), Some(x)] => volume[[z, y, x]],
            _ => match padding {
                Padding::Constant(value) => T::from_f64(value),
                _ => unreachable!("only a constant has no source"),
            },
        }
    })
}

/// One step at a time, as `numpy.pad` is described: walk outwards, turning at the borders.
fn source(index: i64, n: i64, padding: Padding) -> Option<usize> {
    let mut at = index;
    while !(0..n).contains(&at) {
        at = match padding {
            Padding::Constant(_) => return None,
            Padding::Edge => at.clamp(0, n - 1),
            Padding::Reflect if n == 1 => 0,
            Padding::Reflect if at < 0 => -at,
            Padding::Reflect => 2 * (n - 1) - at,
            Padding::Symmetric if at < 0 => -at - 1,
            Padding::Symmetric => 2 * n - 1 - at,
            Padding::Wrap if at < 0 => at + n,
            Padding::Wrap => at - n,
        };
    }
    Some(at as usize)
}
