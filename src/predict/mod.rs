//! Any program as the model: voxpatch writes patches to the program, reads its predictions, and
//! makes volumes of them.
//!
//! [`Model::start`] starts a command by `sh -c`; [`predict`] feeds it the patches of a grid in the
//! order of [`crate::aggregate::Plan::order`] and gives the answers to an
//! [`crate::aggregate::Aggregator`].
//!
//! # Protocol
//!
//! Both directions carry blocks in `NumPy`'s .npy format, one after the other, with nothing in
//! between.
//!
//! - **To the model**, on its standard input: a block for each batch, of shape `(n, c, z, y, x)`,
//!   in C order, little endian, version 1.0. `n` is [`PredictOptions::batch`], but the last batch,
//!   and batches of a resumed run, may be smaller; `c` are the channels of the volume, or all its
//!   frames ([`crate::Frames`]). Numbers have the type that the view returns: the volume's own,
//!   or float32 real values if the view is [`crate::View::scaled`]. After the last batch the
//!   input ends, and so should the model.
//! - **From the model**, on its standard output: for each batch, in the same order, a block for
//!   each head (one head, unless an output names another), of shape `(n, c, z, y, x)`; float32,
//!   float16, float64 or uint8, in C order, little endian, version 1.0 or 2.0. Nothing else may be
//!   printed there; standard error is free, and is the standard error of this process.
//!
//! The first answer shows the channels of each head and its factor: the patch divided by the
//! prediction along each axis, which must be a whole number. All answers have the same shape.
//!
//! The model may read ahead and answer late, even all at the end: a separate thread writes its
//! input, holds one batch, and never waits for an answer.
//!
//! ```no_run
//! use voxpatch::aggregate::{Blend, Output, Values};
//! use voxpatch::predict::{Model, PredictOptions, predict};
//! use voxpatch::sample::{GridSampler, Overlap};
//! use voxpatch::{Dataset, Pool};
//!
//! # fn main() -> voxpatch::Result<()> {
//! let store = Dataset::open("scans.zarr")?;
//! let ct = store.volume("case01/image")?.view().scaled();
//! let sampler = GridSampler::new([64, 128, 128], Overlap::Fraction([0.5; 3]))?;
//! // Channels (0 here) and factor are taken from the model's first answer.
//! let organs = Output::new("case01/organs".parse()?, 0, Values::Argmax);
//! let options = PredictOptions::new(sampler, Blend::Hann, vec![organs]);
//! let model = Model::start("python3 model.py")?;
//! let report = predict(&ct, &store, model, &options, &Pool::new(0)?, &|_step| true)?;
//! println!("{:.1} patches/s", report.patches as f64 / report.seconds);
//! # Ok(())
//! # }
//! ```

mod answers;
mod driver;
mod feeder;
mod fingerprint;
mod head;
mod model;
mod npy;
mod options;
mod patches;
mod report;
mod session;

pub use driver::{plan, predict};
pub use model::Model;
pub use options::PredictOptions;
pub use report::{Checkpoints, HeadReport, PredictReport, Step};
