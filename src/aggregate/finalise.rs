//! From complete shards to volumes.

use std::time::Instant;

use super::planned::PlannedOutput;
use super::report::AggregateReport;
use super::{AggregateOptions, Overwrite, Plan, document};
use crate::statistics::StatisticsAccumulator;
use crate::store::{Attributes, JobDocument, JobOutput, SourceInfo, VERSION};
use crate::{Dataset, Error, Finding, Pool, Result, VolumeName};

/// Publishes the outputs of an aggregation, all of whose parts are complete: looks through every
/// voxel of them, in the threads of the pool, and puts each into its place in one step. Run again
/// after it was interrupted, it goes on with those that are not there yet. `name` is that of its
/// first output.
///
/// `progress` is called with bytes of voxels looked through; a false answer cancels.
///
/// # Errors
/// [`Error::NotFound`] if no aggregation of this volume was begun; [`Error::Unfinished`] if shards
/// are missing; [`Error::InvalidArgument`] while a part is being made; [`Error::CorruptStore`]
/// naming a shard that is not as it was written; [`Error::AlreadyExists`] and
/// [`Error::NotPredicted`] if something is in the place of an output and not to be replaced; [`Error::Cancelled`]; [`Error::Io`].
pub fn finalise(
    dataset: &Dataset,
    name: &VolumeName,
    overwrite: Overwrite,
    pool: &Pool,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<AggregateReport> {
    let began = Instant::now();
    let Some(published) = pool.run(|| dataset.publish_job(name, overwrite, progress))? else {
        let path = dataset.path().join(name.to_string());
        return Err(Error::NotFound { what: "unfinished aggregation", path });
    };
    Ok(AggregateReport {
        patches: document::patches(&published.document.plan),
        outputs: published.volumes,
        memory: None,
        clipped: None,
        seconds: began.elapsed().as_secs_f64(),
    })
}

impl Plan {
    /// The first output's, which is the aggregation's too.
    pub(super) fn name(&self) -> &VolumeName {
        &self.outputs[0].output.name
    }

    /// What the store is told of it.
    pub(super) fn job(&self, options: &AggregateOptions, parts: usize) -> JobDocument {
        let output = |planned: &PlannedOutput| {
            JobOutput::new(&planned.output.name, planned.array(), self.attributes(planned))
        };
        let outputs = self.outputs.iter().map(output).collect();
        JobDocument::new(document::of(self, options), parts, outputs)
    }

    /// What is recorded beside the voxels of an output, of which there are none yet.
    fn attributes(&self, planned: &PlannedOutput) -> Attributes {
        let (output, source) = (&planned.output, &self.source);
        let [z, y, x] = self.grid.patch();
        let [oz, oy, ox] = self.grid.overlap();
        let made = format!(
            "{} of the predictions of {} patches of {z}x{y}x{x} of {}, overlap {oz}x{oy}x{ox}, \
             blended by {}",
            output.values,
            self.grid.len(),
            source.name,
            self.blend
        );
        let kind = output.values.kind();
        Attributes {
            version: VERSION,
            kind,
            affine: planned.affine(&source.affine),
            space: source.space,
            spacing: planned.spacing,
            time_step: None,
            scaling: output.values.scaling(),
            original_dtype: None,
            predicted_from: Some(source.name.clone()),
            layout: planned.layout,
            workload: planned.workload.clone(),
            statistics: StatisticsAccumulator::new(planned.array().dtype, kind).finish(),
            source: SourceInfo {
                format: "predictions".to_owned(),
                fields: planned.fields(source),
                digest: None,
            },
            labels: Vec::new(),
            options_digest: None,
            findings: vec![Finding::decided(made)],
        }
    }
}
