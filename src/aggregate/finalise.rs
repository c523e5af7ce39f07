//! Publication: complete shards become volumes.

use std::time::Instant;

use super::planned::PlannedOutput;
use super::report::AggregateReport;
use super::{AggregateOptions, Overwrite, Plan, document};
use crate::statistics::StatisticsAccumulator;
use crate::store::{Attributes, JobDocument, JobOutput, SourceInfo, VERSION};
use crate::{Dataset, Error, Finding, Pool, Result, VolumeName};

/// Publishes the outputs of an aggregation when all its parts are complete: reads every voxel of
/// the outputs, with the threads of the pool, and publishes each output in one step. After an
/// interruption, another call goes on with the outputs that are not published yet. `name` is the
/// name of the aggregation's first output.
///
/// `progress` is called with the number of bytes of voxels read since its last call; if it returns
/// false, the call is cancelled.
///
/// # Errors
/// [`Error::NotFound`] if no aggregation of this volume was begun; [`Error::Unfinished`] if shards
/// are missing; [`Error::InvalidArgument`] while a process makes a part; [`Error::CorruptStore`]
/// for a shard that is not as it was written; [`Error::AlreadyExists`] and [`Error::NotPredicted`]
/// if a volume exists at the name of an output and is not to be replaced; [`Error::Cancelled`];
/// [`Error::Io`].
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
    /// The name of the first output, which is the aggregation's name too.
    pub(super) fn name(&self) -> &VolumeName {
        &self.outputs[0].output.name
    }

    /// The description of the aggregation for the store.
    pub(super) fn job(&self, options: &AggregateOptions, parts: usize) -> JobDocument {
        let output = |planned: &PlannedOutput| {
            JobOutput::new(&planned.output.name, planned.array(), self.attributes(planned))
        };
        let outputs = self.outputs.iter().map(output).collect();
        JobDocument::new(document::of(self, options), parts, outputs)
    }

    /// The attributes of an output before any voxel is written.
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
