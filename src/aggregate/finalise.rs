//! From complete shards to volumes.

use std::time::Instant;

use super::report::{AggregateReport, OutputReport};
use super::{AggregateOptions, Plan, document};
use crate::statistics::Statistics;
use crate::store::{Attributes, VERSION};
use crate::{Dataset, Error, Finding, Pool, Result};

/// Publishes the outputs of a plan, all of whose parts are complete: looks through every voxel of
/// them, in the threads of the pool, and puts each into its place in one step. Run again after it
/// was interrupted, it goes on with those that are not there yet.
///
/// `progress` is called with bytes of voxels looked through; a false answer cancels.
///
/// # Errors
/// [`Error::NotFound`] if no aggregation of these outputs was begun; [`Error::InvalidArgument`] if it
/// was begun with another plan, or while a part is being made; [`Error::CorruptStore`] naming a
/// shard that is missing or not as it was written; [`Error::AlreadyExists`] if an output is there
/// and not to be replaced; [`Error::Cancelled`]; [`Error::Io`].
pub fn finalise(
    dataset: &Dataset,
    plan: &Plan,
    options: &AggregateOptions,
    pool: &Pool,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<AggregateReport> {
    let began = Instant::now();
    let name = plan.name();
    let Some(there) = dataset.job_document(name)? else {
        let path = dataset.path().join(name.to_string());
        return Err(Error::NotFound { what: "unfinished aggregation", path });
    };
    let parts = document::parts_of(&there);
    if let Some(other) = document::difference(&there, &document::of(plan, &options.made_by, parts))
    {
        let reason = format!("it was begun with another plan: {other}");
        return Err(Error::invalid("aggregation", name, reason));
    }
    let job = dataset.open_job(&there, plan.job_outputs(), None, options.overwrite)?;
    let attributes = |n: usize, statistics: Statistics| plan.attributes(n, statistics);
    let published = pool.run(|| job.publish(parts, &attributes, progress))?;
    let outputs = plan.outputs.iter().zip(published);
    Ok(AggregateReport {
        patches: plan.grid.len(),
        outputs: outputs.map(|(planned, made)| OutputReport::new(planned, made)).collect(),
        memory: None,
        seconds: began.elapsed().as_secs_f64(),
    })
}

impl Plan {
    /// The first output's, which is the aggregation's too.
    pub(super) fn name(&self) -> &crate::VolumeName {
        &self.outputs[0].output.name
    }

    pub(super) fn job_outputs(&self) -> Vec<crate::store::JobOutput> {
        self.outputs.iter().map(super::plan::PlannedOutput::job_output).collect()
    }

    /// What is recorded beside the voxels of an output.
    fn attributes(&self, n: usize, statistics: Statistics) -> Attributes {
        let (planned, source) = (&self.outputs[n], &self.source);
        let output = &planned.output;
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
        Attributes {
            version: VERSION,
            kind: output.values.kind(),
            affine: planned.affine(&source.affine),
            spacing: planned.spacing,
            time_step: None,
            scaling: output.values.scaling(),
            original_dtype: None,
            layout: planned.layout,
            workload: planned.workload.clone(),
            statistics,
            source_format: "predictions".to_owned(),
            source_fields: source.fields.clone(),
            findings: vec![Finding::decided(made)],
        }
    }
}
