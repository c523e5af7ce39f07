//! `--parts`: who would make what.

use voxpatch::View;
use voxpatch::aggregate::Part;
use voxpatch::predict::{self, Model, PredictOptions};

use crate::args::Aggregate;
use crate::code::{self, Code};
use crate::interrupt::Interrupt;
use crate::output;

/// Plans the parts and shows them.
pub fn show(
    view: &View,
    options: &PredictOptions,
    parts: usize,
    args: &Aggregate,
    interrupt: &Interrupt,
) -> anyhow::Result<Code> {
    let model = Model::start(&args.exec)?;
    let plan = predict::plan(view, model, options, &|_| !interrupt.is_set())?;
    let parts = plan.split(parts)?;
    if args.json {
        output::print_json(&parts)?;
    } else {
        output::print(&table(&parts, plan.grid().len()))?;
    }
    Ok(code::DONE)
}

#[allow(clippy::cast_precision_loss)]
fn table(parts: &[Part], patches: u64) -> String {
    let row = |part: &Part| {
        vec![
            format!("{}/{}", part.index + 1, part.of),
            part.region.to_string(),
            part.patches.to_string(),
            part.shared.to_string(),
        ]
    };
    let header = ["part", "voxels of the source", "patches", "also needed by others"];
    let table = output::table(&header, &parts.iter().map(row).collect::<Vec<_>>());
    let predicted: u64 = parts.iter().map(|part| part.patches).sum();
    let most = parts.iter().map(|part| part.patches).max().unwrap_or(0);
    let halo = 100.0 * (predicted as f64 / patches as f64 - 1.0);
    format!(
        "{table}\n\n{predicted} predictions instead of {patches}: patches at the cuts cost {halo:.1} % \
         more. The longest part has {most}, {} of all.",
        output::number(most as f64 / patches as f64)
    )
}
