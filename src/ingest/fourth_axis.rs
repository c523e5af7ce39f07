//! The meaning of a scan's fourth axis: time points, or channels.

use crate::scan::{Scan, ScanHeader};
use crate::{Error, Finding, FourthAxis, Frame, Hint, Result};

/// A fourth axis of at most this many entries may hold the weightings of an MR.
const FEW: usize = 8;

/// One second.
const ONE: u64 = 1_f64.to_bits();

/// The scan with its fourth axis as `wanted`; by default as its header says. A finding names the
/// decision, if the scan has a fourth axis and the decision may surprise.
///
/// # Errors
/// [`Error::InvalidArgument`] for channels, if the scan has a fifth axis that holds them.
pub(super) fn read_as(
    scan: Box<dyn Scan>,
    axis: Option<FourthAxis>,
) -> Result<(Box<dyn Scan>, Option<Finding>)> {
    let ScanHeader { times, channels, time_step, .. } = *scan.header();
    if times == 1 {
        return Ok((scan, None));
    }
    match axis {
        Some(FourthAxis::Channels) if channels > 1 => {
            let reason = format!(
                "the scan has {channels} channels in its fifth axis and {times} time points in its \
                 fourth; leave the choice out to keep both"
            );
            Err(Error::invalid("fourth axis", FourthAxis::Channels, reason)
                .hinting(Hint::FourthAxisAsFound))
        }
        Some(FourthAxis::Channels) => {
            let finding = Finding::decided(format!(
                "the fourth axis was stored as {times} channels, as asked, not as time"
            ));
            let header =
                ScanHeader { times: 1, channels: times, time_step: None, ..scan.header().clone() };
            Ok((Box::new(AsChannels { scan, header }), Some(finding)))
        }
        Some(FourthAxis::Time) => {
            let finding = format!("the fourth axis was stored as {times} time points, as asked");
            Ok((scan, Some(Finding::decided(finding))))
        }
        None => {
            // Programs without knowledge of time write one second.
            let is_told = time_step.is_some_and(|seconds| times > FEW || seconds.to_bits() != ONE);
            let finding = (!is_told).then(|| {
                Finding::guessed(format!(
                    "the fourth axis was stored as {times} time points, though the header gives no \
                     time between them, or the one second that programs write by default: if they \
                     are channels, such as the weightings of an MR, convert again with \
                     --fourth-axis channels"
                ))
            });
            Ok((scan, finding))
        }
    }
}

/// A scan without channels whose time points become channels.
struct AsChannels {
    scan: Box<dyn Scan>,
    header: ScanHeader,
}

impl Scan for AsChannels {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn frame(&self, n: usize) -> Frame {
        let Frame { time, channel } = self.scan.frame(n);
        Frame { time: channel, channel: time }
    }

    fn read_planes(&mut self, out: &mut [u8]) -> Result<()> {
        self.scan.read_planes(out)
    }

    fn finish(&mut self) -> Result<Vec<Finding>> {
        self.scan.finish()
    }

    fn rewind(&mut self) -> Result<()> {
        self.scan.rewind()
    }
}
