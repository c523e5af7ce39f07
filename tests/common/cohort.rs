//! Several small subjects, on disk and in memory, and samplers that use only the shape of a volume.
#![allow(clippy::cast_possible_wrap, reason = "a test's numbers are small, and it may fail")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array3, s};
use voxpatch::sample::{Choice, Draw, Field, Regions, Sample, Sampler};
use voxpatch::stream::{ImageRequest, Patch, PatchStream, StreamOptions};
use voxpatch::{ConvertOptions, Dataset, Error, Padding, Region, Result};

use super::dense::{DenseScan, oracle, store, voxels};
use super::place::generation;

pub struct Cohort {
    pub folder: tempfile::TempDir,
    pub dataset: Dataset,
    pub dense: BTreeMap<String, (Array3<i16>, Array3<u8>)>,
}

/// Subject `sN` has `planes(N)` planes.
pub fn planes(n: usize) -> usize {
    6 + n % 4
}

impl Cohort {
    /// Subjects `s0`, `s1`, ..., each with an `image` and a `label`.
    pub fn new(subjects: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dataset = Dataset::create(folder.path().join("s.zarr")).expect("a new dataset");
        let mut cohort = Self { folder, dataset, dense: BTreeMap::new() };
        for n in 0..subjects {
            let shape = [planes(n), 9, 11];
            cohort.add(&format!("s{n}"), shape, n as u64);
        }
        cohort
    }

    pub fn add(&mut self, subject: &str, [z, y, x]: [usize; 3], seed: u64) {
        let image = voxels::<i16>([1, 1, z, y, x], seed);
        let label = voxels::<u8>([1, 1, z, y, x], seed + 1000);
        let options = ConvertOptions::default().overwrite(true);
        let convert = |scan, name: &str| {
            store(scan, &self.dataset, &format!("{subject}/{name}"), &options).expect("converted");
        };
        convert(DenseScan::new(&image), "image");
        convert(DenseScan::new(&label), "label");
        let both = (
            image.slice(s![0, 0, .., .., ..]).to_owned(),
            label.slice(s![0, 0, .., .., ..]).to_owned(),
        );
        self.dense.insert(subject.to_owned(), both);
    }

    pub fn subjects(&self) -> Vec<String> {
        self.dense.keys().cloned().collect()
    }

    pub fn stream(&self, sampler: impl Sampler + 'static, options: &StreamOptions) -> PatchStream {
        self.try_stream(sampler, options).expect("a stream")
    }

    pub fn try_stream(
        &self,
        sampler: impl Sampler + 'static,
        options: &StreamOptions,
    ) -> Result<PatchStream> {
        PatchStream::new(&self.dataset, self.subjects(), Arc::new(sampler), options)
    }

    /// Compares with the volumes in memory, both images padded by their edges.
    pub fn check(&self, patch: &Patch) {
        let (image, label) = &self.dense[&patch.origin.subject];
        let region = patch.origin.region;
        let found = patch.image("image").expect("an image").as_array::<i16>().expect("int16");
        assert_eq!(found, oracle(image, region, Padding::Edge));
        if let Some(found) = patch.image("label") {
            let found = found.as_array::<u8>().expect("uint8");
            assert_eq!(found, oracle(label, region, Padding::Edge));
        }
    }

    /// Overwrites the middle of every shard of an image.
    pub fn damage(&self, name: &str) {
        let mut folders = vec![generation(&self.dataset.path(), name).join("0/c")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of shards") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut bytes = std::fs::read(&path).expect("a shard");
                let middle = bytes.len() / 2;
                bytes[middle - 8..middle].iter_mut().for_each(|byte| *byte ^= 0x55);
                std::fs::write(&path, bytes).expect("written");
            }
        }
    }

    /// Prevents an image from being opened.
    pub fn break_document(&self, name: &str) {
        let path = self.dataset.path().join(name).join("zarr.json");
        std::fs::write(path, b"{}").expect("written");
    }
}

/// Both images, padded.
pub fn both() -> Vec<ImageRequest> {
    ["image", "label"].map(|name| ImageRequest::new(name).padded(Padding::Edge)).into()
}

/// Patches of 4 x 5 x 6 that may leave the volume by a voxel, at places given by a hash of the
/// draw; counts the volumes that it prepares at the same time.
#[derive(Debug, Clone, Default)]
pub struct Scattered {
    pub live: Live,
}

#[derive(Clone, Default)]
pub struct Live(Arc<[AtomicUsize; 2]>);

impl Live {
    pub fn most(&self) -> usize {
        self.0[1].load(Ordering::SeqCst)
    }
}

/// The same for every count: it is shown in the digest of a sampler.
impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live")
    }
}

pub const PATCH: [usize; 3] = [4, 5, 6];

impl Sampler for Scattered {
    fn patch(&self) -> [usize; 3] {
        PATCH
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        let live = self.live.0[0].fetch_add(1, Ordering::SeqCst) + 1;
        self.live.0[1].fetch_max(live, Ordering::SeqCst);
        Ok(Arc::new(Places { shape: field.shape(), live: self.live.clone() }))
    }
}

#[derive(Debug)]
struct Places {
    shape: [usize; 3],
    live: Live,
}

impl Drop for Places {
    fn drop(&mut self) {
        self.live.0[0].fetch_sub(1, Ordering::SeqCst);
    }
}

impl Regions for Places {
    fn count(&self) -> Option<u64> {
        None
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        let mut n = draw.seed ^ draw.epoch << 32 ^ draw.index << 48;
        let start = [0, 1, 2].map(|axis| {
            n = (n ^ n >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
            (n % (self.shape[axis] - PATCH[axis] + 3) as u64) as i64 - 1
        });
        Ok(Sample { region: Region::new(start, PATCH), choice: Choice::Uniform })
    }
}

/// Every plane once.
#[derive(Debug, Clone, Copy)]
pub struct Planes;

impl Sampler for Planes {
    fn patch(&self) -> [usize; 3] {
        [1, 3, 3]
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        Ok(Arc::new(PlaceOfPlanes(field.shape()[0])))
    }
}

#[derive(Debug)]
struct PlaceOfPlanes(usize);

impl Regions for PlaceOfPlanes {
    fn count(&self) -> Option<u64> {
        Some(self.0 as u64)
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        assert!(draw.index < self.0 as u64, "no such draw");
        let region = Region::new([draw.index as i64, 1, 2], Planes.patch());
        Ok(Sample { region, choice: Choice::Grid(draw.index) })
    }
}

/// Finds nothing to draw in volumes with this number of planes.
#[derive(Debug, Clone, Copy)]
pub struct NothingIn(pub usize);

impl Sampler for NothingIn {
    fn patch(&self) -> [usize; 3] {
        PATCH
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        if field.shape()[0] == self.0 {
            return Err(Error::InvalidArgument {
                what: "weights",
                value: "0".into(),
                reason: "every weight is 0".into(),
                hint: None,
            });
        }
        Scattered::default().prepare(field)
    }
}

/// Panics in volumes with this number of planes, when prepared or at a draw.
#[derive(Debug, Clone, Copy)]
pub struct PanicsIn {
    pub planes: usize,
    pub at_a_draw: bool,
}

impl Sampler for PanicsIn {
    fn patch(&self) -> [usize; 3] {
        PATCH
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        if field.shape()[0] != self.planes {
            return Scattered::default().prepare(field);
        }
        assert!(self.at_a_draw, "a sampler of the test panics");
        Ok(Arc::new(Panics))
    }
}

#[derive(Debug)]
struct Panics;

impl Regions for Panics {
    fn count(&self) -> Option<u64> {
        None
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        panic!("draw {} of the test panics", draw.index)
    }
}
