//! Patches for training: `cargo run --release --example train -- scans.zarr`
//!
//! The store has subjects with the images `image` and `organs`, a label map.
#![allow(clippy::print_stdout, reason = "what an example is for")]

mod phantom;

use std::path::Path;
use std::sync::Arc;

use voxpatch::sample::LabelSampler;
use voxpatch::stream::{ImageRequest, PatchStream, StreamOptions};
use voxpatch::{Padding, Result};

#[allow(dead_code, reason = "the tests call run")]
fn main() -> Result<()> {
    run(std::env::args_os().nth(1).as_deref().map(Path::new))
}

/// Two epochs, interrupted once.
pub(crate) fn run(store: Option<&Path>) -> Result<()> {
    let (dataset, _folder) = phantom::open(store)?;
    // Half of the patches around each class, however rare it is.
    let sampler = Arc::new(LabelSampler::per_class([16, 32, 32], None)?);
    let ct = ImageRequest::new("image").scaled().padded(Padding::Constant(-1024.0));
    let organs = ImageRequest::new("organs").padded(Padding::Edge);
    let options = StreamOptions::default()
        .images(vec![ct, organs])
        .sample_by(Some("organs".into()))
        .workers(2);

    let subjects = dataset.subjects()?;
    let mut stream = PatchStream::new(&dataset, subjects.clone(), sampler.clone(), &options)?;
    for batch in stream.batches(4, true)?.take(2) {
        let batch = batch?;
        let image = batch.image("image").and_then(|voxels| voxels.as_array::<f32>());
        println!("a batch of shape {:?}", image.map(|image| image.shape().to_vec()));
    }

    // As if training had been stopped here: the state is a few numbers, and resumes at the next
    // patch in another process.
    let state = stream.state();
    let mut resumed = PatchStream::new(&dataset, subjects, sampler, &options)?;
    resumed.resume(&state)?;
    for _ in 0..2 {
        let mut patches = 0;
        for patch in &mut resumed {
            let patch = patch?;
            patches += usize::from(patch.image("organs").is_some());
        }
        println!("epoch {}: {patches} patches", resumed.epoch());
        resumed.next_epoch();
    }
    Ok(())
}
