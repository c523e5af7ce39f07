//! Measuring reads: how fast patches of stored volumes come, beside an uncompressed memory map of
//! the same voxels.
//!
//! [`measure`] takes a place in a store and [`Options`], and gives a [`Report`], in which every
//! volume has a [`Row`] for each [`Case`]: a patch shape, read in one way. Before they are timed,
//! the patches of a row are compared with the map, voxel for voxel. The store and the map are then
//! read pass by pass in turn, so that both meet the same conditions.

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

use copy::Scratch;
use subject::Subject;
use watch::{Progress, tell};

/// Measures the volumes of a place in a store, one after the other. A volume that cannot be measured
/// is named in the report, and the others are measured all the same.
///
/// What is measured without optimisation, in a debug build, means nothing. The caller's thread and
/// as many more as a row asks for read; while a row is measured, nothing else should run.
///
/// `progress` is told every [`Step`]; a false answer cancels. Whatever happens, the uncompressed
/// copy of a volume is removed again.
///
/// # Errors
/// [`Error::InvalidArgument`] for options that make no sense, those of [`Place::volumes`],
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
    let scratch = if options.baseline { Some(Scratch::new(options, &volume)?) } else { None };
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
            copy: scratch.as_ref().map(Scratch::copy),
            options,
            progress,
        };
        // No handle may be open when files are dropped from memory.
        drop::<Volume>(volume);
        for case in cases {
            measured.rows.push(row::measure::<T>(&subject, case)?);
            tell(progress, Step::Row)?;
        }
    });
    Ok(measured)
}
