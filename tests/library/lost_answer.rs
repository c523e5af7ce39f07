//! A document may be there while its writer was told of an error, so that nobody knows whether it is
//! durable. It is then synced, and where that fails, nothing goes on as if it was durable.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::generations;
use crate::common::predict::{predict, source, views};
use crate::common::tapped::{Tap, Tapped};
use voxpatch::aggregate::{
    AggregateOptions, Aggregator, Blend, Output, Overwrite, Plan, Unfinished, Values, finalise,
};
use voxpatch::disk::LocalDisk;
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{ConvertOptions, Dataset, Error, Pool, Result};

/// Swaps the document and reports an error; from then on, the document's folder is synced or not.
#[derive(Debug)]
struct Unsure {
    document: &'static str,
    syncs: bool,
    swapped: OnceLock<String>,
}

impl Tap for Unsure {
    fn pass(
        &self,
        _: &LocalDisk,
        name: &'static str,
        key: &str,
        operation: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        if name == "flush" && !self.syncs && self.swapped.get().is_some_and(|of| of == key) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        operation()?;
        if name == "swap"
            && key.ends_with(self.document)
            && let Some((folder, _)) = key.rsplit_once('/')
            && self.swapped.set(folder.to_owned()).is_ok()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

/// Runs `work` on a disk that is unsure of a document: where folders are synced it succeeds, and
/// elsewhere its error tells of the sync.
fn synced_or_told(
    root: &Path,
    document: &'static str,
    syncs: bool,
    work: impl FnOnce(&Dataset) -> Result<()>,
) {
    let disk = Tapped::new(root, Unsure { document, syncs, swapped: OnceLock::new() });
    let done = Dataset::open_on(disk.handle()).and_then(|dataset| work(&dataset));
    assert!(disk.tap.swapped.get().is_some(), "{document}");
    if syncs {
        done.unwrap();
    } else {
        assert!(matches!(done, Err(Error::Io { action: "sync", .. })), "{document}: {done:?}");
    }
}

#[test]
fn the_old_volume_stays_until_the_new_one_is_durable() {
    let options = ConvertOptions::default().overwrite(true);
    let converted = |dataset: &Dataset, seed| {
        let voxels = voxels::<i16>([1, 1, 4, 5, 6], seed);
        store(DenseScan::new(&voxels), dataset, "a/b", &options).map(drop)
    };
    for syncs in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        converted(&Dataset::create(folder.path()).unwrap(), 1).unwrap();
        synced_or_told(folder.path(), "a/b/zarr.json", syncs, |dataset| converted(dataset, 2));
        let left = generations(folder.path(), "a/b").len();
        assert_eq!(left, if syncs { 1 } else { 2 });
        Dataset::open(folder.path()).unwrap().volume("a/b").unwrap();
    }
}

#[test]
fn an_aggregation_goes_on_when_its_documents_are_durable() {
    let sampler = GridSampler::new([2, 4, 4], Overlap::Voxels([0; 3])).unwrap();
    let (name, pool) = ("a/scores".parse().unwrap(), Pool::new(1).unwrap());
    for syncs in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), [4, 4, 4]);
        let root = folder.path().join("s.zarr");
        let begun = |dataset: &Dataset| {
            let output = Output::new("a/scores".parse().unwrap(), 1, Values::Float32);
            let plan = Plan::new(&volume, &sampler, Blend::Average, vec![output]).unwrap();
            let options = AggregateOptions::default().unfinished(Unfinished::Resume);
            Aggregator::begin(dataset, plan, &options)
        };
        synced_or_told(&root, "job.json", syncs, |dataset| begun(dataset).map(drop));
        let aggregator = begun(&dataset).unwrap();
        for number in 0..2 {
            aggregator.add(number, &views(&predict(aggregator.plan(), number))).unwrap();
        }
        aggregator.check_complete().unwrap();
        drop(aggregator);
        synced_or_told(&root, "complete.json", syncs, |dataset| {
            finalise(dataset, &name, Overwrite::Nothing, &pool, &|_| true).map(drop)
        });
        assert_eq!(dataset.volume("a/scores").is_ok(), syncs);
    }
}
