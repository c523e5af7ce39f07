//! Sources of single planes: read by several threads, stored as the same voxels in order are.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::dense::{DenseScan, voxels};
use crate::common::files::tree;
use crate::common::place::generation;
use ndarray::{Array5, s};
use voxpatch::layout::PlanOptions;
use voxpatch::scan::{Order, PlaneScan, Planes, Scan, ScanHeader};
use voxpatch::{
    ConvertOptions, ConvertReport, Dataset, Error, Finding, Frame, Pool, Result, convert,
};

struct DensePlanes {
    header: ScanHeader,
    voxels: Array5<i16>,
    /// Planes that cannot be read: frame and z.
    damaged: Vec<(Frame, usize)>,
    threads: Mutex<BTreeSet<String>>,
    pause: Duration,
}

impl DensePlanes {
    fn new(voxels: &Array5<i16>) -> Self {
        let mut header = DenseScan::new(voxels).header().clone();
        // Whatever the source says of an order, planes are asked for one by one.
        header.order = Order::Voxels(7);
        let (damaged, threads) = (Vec::new(), Mutex::default());
        Self { header, voxels: voxels.clone(), damaged, threads, pause: Duration::ZERO }
    }
}

impl Planes for DensePlanes {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn read_plane(&self, frame: Frame, z: usize, out: &mut [u8]) -> Result<()> {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        self.threads.lock().unwrap().insert(thread);
        std::thread::sleep(self.pause);
        if self.damaged.contains(&(frame, z)) {
            let path = format!("slice-{z}.dcm").into();
            return Err(Error::CorruptScan { path, reason: "it is cut off".into() });
        }
        let plane = self.voxels.slice(s![frame.time, frame.channel, z, .., ..]);
        out.copy_from_slice(bytemuck::cast_slice(plane.as_slice().unwrap()));
        Ok(())
    }

    fn finish(&self) -> Result<Vec<Finding>> {
        Ok(vec![Finding {
            certainty: voxpatch::Certainty::Decided,
            message: "planes were read".into(),
        }])
    }
}

/// Planes that a test still sees while they are converted.
struct Shared(Arc<DensePlanes>);

impl Planes for Shared {
    fn header(&self) -> &ScanHeader {
        self.0.header()
    }

    fn read_plane(&self, frame: Frame, z: usize, out: &mut [u8]) -> Result<()> {
        self.0.read_plane(frame, z, out)
    }
}

fn options(depth: usize) -> ConvertOptions {
    let plan = PlanOptions::default().chunk(Some([depth, 4, 4]));
    ConvertOptions::default().plan(plan)
}

fn stored(
    scan: Box<dyn Scan>,
    folder: &Path,
    options: &ConvertOptions,
    threads: usize,
) -> Result<ConvertReport> {
    let dataset = Dataset::create(folder.join("s")).unwrap();
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(threads).unwrap());
    convert(scan, &dataset, &name, options, &pool, &|_| true)
}

/// The shards alone: findings stand in the documents.
fn shards(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let below = generation(&folder.join("s"), "a/b").join("0/c");
    let found = tree(&below).into_iter();
    found.map(|(path, bytes)| (path.strip_prefix(&below).unwrap().to_owned(), bytes)).collect()
}

#[test]
fn scan_planes_are_stored_as_the_scan_in_order_is() {
    let dense = voxels::<i16>([2, 2, 11, 9, 10], 3);
    for depth in [1, 3, 4, 11] {
        for narrow in [false, true] {
            let options = options(depth).narrow(narrow);
            let folder = tempfile::tempdir().unwrap();
            let scan = Box::new(DenseScan::new(&dense));
            let in_order = stored(scan, folder.path(), &options, 1).unwrap();
            let expected = shards(folder.path());
            assert!(expected.len() > 4);
            for threads in [1, 4] {
                let folder = tempfile::tempdir().unwrap();
                let scan = Box::new(PlaneScan::new(DensePlanes::new(&dense)));
                let report = stored(scan, folder.path(), &options, threads).unwrap();
                assert_eq!(report.voxel_digest, in_order.voxel_digest);
                assert!(shards(folder.path()) == expected, "depth {depth}, {threads} threads");
                assert!(report.findings.iter().any(|f| f.message == "planes were read"));
            }
        }
    }
}

#[test]
fn scan_planes_of_a_layer_are_read_by_several_threads_of_the_pool_and_by_no_other() {
    let dense = voxels::<i16>([1, 1, 12, 4, 4], 3);
    let mut planes = DensePlanes::new(&dense);
    planes.pause = Duration::from_millis(5);
    let planes = Arc::new(planes);
    let folder = tempfile::tempdir().unwrap();
    let scan = Box::new(PlaneScan::new(Shared(planes.clone())));
    let options = options(6).narrow(true);
    stored(scan, folder.path(), &options, 3).unwrap();
    let threads = planes.threads.lock().unwrap().clone();
    assert!(threads.len() > 1, "{threads:?}");
    assert!(threads.iter().all(|name| name.starts_with("voxpatch-")), "{threads:?}");
}

#[test]
fn scan_planes_that_cannot_be_read_are_named_and_nothing_is_published() {
    let dense = voxels::<i16>([2, 1, 12, 4, 4], 3);
    for threads in [1, 4] {
        for depth in [1, 5, 12] {
            let folder = tempfile::tempdir().unwrap();
            let mut planes = DensePlanes::new(&dense);
            let late = Frame { time: 1, channel: 0 };
            planes.damaged = vec![(late, 9), (late, 7)];
            let scan = Box::new(PlaneScan::new(planes));
            let error = stored(scan, folder.path(), &options(depth), threads).unwrap_err();
            assert!(matches!(error, Error::CorruptScan { .. }), "{error}");
            // The first of them, whichever thread was faster.
            let told = error.to_string();
            let words = ["slice-7.dcm", "plane 7 of time 1, channel 0", "cut off"];
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
            assert!(tree(folder.path()).values().all(Option::is_none), "{threads} threads");
        }
    }
}

#[test]
fn scan_planes_fill_whole_planes_of_one_frame_and_no_others() {
    let dense = voxels::<i16>([1, 2, 3, 4, 5], 3);
    let mut scan = PlaneScan::new(DensePlanes::new(&dense));
    let plane = scan.header().plane_bytes();
    let mut buffer = vec![0; 4 * plane];
    assert!(scan.read_planes(&mut buffer).is_err());
    assert!(scan.read_planes(&mut buffer[..plane - 1]).is_err());
    for _ in 0..2 {
        scan.read_planes(&mut buffer[..2 * plane]).unwrap();
        assert!(scan.read_planes(&mut buffer[..2 * plane]).is_err());
        scan.read_planes(&mut buffer[..plane]).unwrap();
    }
    assert!(scan.read_planes(&mut buffer[..plane]).is_err());
    scan.rewind().unwrap();
    scan.read_planes(&mut buffer[..plane]).unwrap();
    let first = dense.slice(s![0, 0, 0, .., ..]);
    assert_eq!(buffer[..plane], *bytemuck::cast_slice::<i16, u8>(first.as_slice().unwrap()));
}
