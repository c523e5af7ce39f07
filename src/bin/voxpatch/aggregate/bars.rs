//! Progress bars on standard error: patches, then bytes.

use std::sync::OnceLock;

use indicatif::ProgressBar;
use voxpatch::predict::Step;

use crate::output;

/// Both bars, each made when first needed.
#[derive(Default)]
pub struct Bars {
    quiet: bool,
    /// The run resumes an earlier one.
    resumes: bool,
    patches: OnceLock<ProgressBar>,
    checked: OnceLock<ProgressBar>,
    bytes: OnceLock<u64>,
}

impl Bars {
    pub fn new(quiet: bool, resumes: bool) -> Self {
        Self { quiet, resumes, ..Self::default() }
    }

    pub fn show(&self, step: Step) {
        match step {
            Step::Begun { patches, of, bytes } => {
                if self.resumes && !self.quiet {
                    output::note(&format!("resuming: {patches} of {of} patches are left"));
                }
                let patches = usize::try_from(patches).unwrap_or(usize::MAX);
                self.patches.get_or_init(|| output::steps(patches, "predict patches", self.quiet));
                self.bytes.get_or_init(|| bytes);
            }
            Step::Predicted(n) => {
                if let Some(bar) = self.patches.get() {
                    bar.inc(n);
                }
            }
            Step::Checked(n) => {
                let total = self.bytes.get().copied().unwrap_or(0);
                let bar = self.checked.get_or_init(|| {
                    if let Some(patches) = self.patches.get() {
                        patches.finish_and_clear();
                    }
                    output::progress(total, "check and publish", self.quiet)
                });
                bar.inc(n);
            }
        }
    }

    pub fn clear(&self) {
        let bars = [&self.patches, &self.checked];
        bars.into_iter().filter_map(OnceLock::get).for_each(ProgressBar::finish_and_clear);
    }
}
