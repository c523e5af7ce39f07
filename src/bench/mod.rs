//! Benchmarks: how fast patches of stored volumes are read, compared with an uncompressed memory
//! map of the same voxels.
//!
//! [`measure`] takes a place in a store and [`Options`], and gives a [`Report`], with a [`Row`] for
//! each [`Case`] of every volume: a patch shape, read in one way. Before the timing, the patches of
//! a row are compared with the map, voxel by voxel. The store and the map are then read pass by
//! pass in turn, under the same conditions.

mod cache;
mod cases;
mod copy;
mod counters;
mod figures;
mod inflated;
mod labels;
mod machine;
mod options;
mod pass;
mod regions;
mod report;
mod row;
mod subject;
mod watch;

use crate::store::{Place, Volume};
use crate::{Error, Result, VolumeName, with_element};

pub use cases::{Cache, Case};
pub use figures::{Figures, FromDisk, Latency};
pub use inflated::Inflated;
pub use labels::Labels;
pub use machine::Machine;
pub use options::{Options, Starts};
pub use report::{Failure, Report, VolumeReport};
pub use row::Row;
pub use watch::Step;

use copy::ScratchFolder;
use subject::Subject;
use watch::{Progress, tell};

/// Measures the volumes of a place in a store, one after the other. The report names volumes that
/// cannot be measured, and the others are measured all the same.
///
/// Results of a debug build are meaningless. The caller's thread reads, with as many others as a
/// row asks for; nothing else should run meanwhile.
///
/// `progress` is called with every [`Step`]; if it returns false, the benchmark is cancelled. The
/// uncompressed copy of a volume is always removed.
///
/// # Errors
/// [`Error::InvalidArgument`] for invalid options, those of [`Place::volumes`],
/// [`Error::Cancelled`].
pub fn measure(
    place: &Place,
    options: &Options,
    progress: &(dyn Fn(Step<'_>) -> bool + Sync),
) -> Result<Report> {
    options.check()?;
    let mut names = place.volumes()?;
    let found = names.len();
    names.truncate(options.limit.unwrap_or(usize::MAX));
    let mut report = Report::begin(options);
    tell(progress, Step::Started { report: &report, volumes: names.len(), found })?;
    for name in &names {
        match one(place, name, options, progress) {
            Ok(measured) => {
                tell(progress, Step::Measured(&measured))?;
                report.volumes.push(measured);
            }
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => {
                tell(progress, Step::Failed { name, error: &error })?;
                report.failed.push(Failure::new(name, &error));
            }
        }
    }
    Ok(report)
}

fn one(
    place: &Place,
    name: &VolumeName,
    options: &Options,
    progress: Progress<'_>,
) -> Result<VolumeReport> {
    let volume = place.dataset().open_volume(name)?;
    let cases = cases::cases(options, &volume)?;
    let frame_bytes = copy::frame_bytes(&volume);
    let copied = if options.baseline { frame_bytes } else { 0 };
    tell(progress, Step::Volume { name, rows: cases.len(), copied })?;
    let scratch = if options.baseline { Some(ScratchFolder::new(options, &volume)?) } else { None };
    let mut measured = VolumeReport::of(&volume);
    with_element!(volume.dtype(), T => {
        if let Some(scratch) = &scratch {
            copy::write::<T>(&volume, scratch, progress)?;
            measured.copy_bytes = Some(frame_bytes);
            measured.inflated = inflated::measure(scratch, progress)?;
        }
        let subject = Subject {
            dataset: place.dataset(),
            name,
            shape: volume.shape(),
            copy: scratch.as_ref().map(ScratchFolder::copy),
            options,
            progress,
        };
        // No handle may be open when cached pages are dropped.
        drop::<Volume>(volume);
        for case in cases {
            measured.rows.push(row::measure::<T>(&subject, case)?);
            tell(progress, Step::Row)?;
        }
    });
    Ok(measured)
}
