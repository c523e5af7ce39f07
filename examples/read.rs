//! Reads patches of a stored volume: `cargo run --release --example read -- scans.zarr`
#![allow(clippy::print_stdout, reason = "what an example is for")]

mod phantom;

use std::path::Path;

use voxpatch::{Padding, Pool, Region, Result};

#[allow(dead_code, reason = "the tests call run")]
fn main() -> Result<()> {
    run(std::env::args_os().nth(1).as_deref().map(Path::new))
}

/// Reads of the first volume of a store.
pub(crate) fn run(store: Option<&Path>) -> Result<()> {
    let (dataset, _folder) = phantom::open(store)?;
    let Some(name) = dataset.volumes()?.into_iter().next() else { return Ok(()) };
    let volume = dataset.open_volume(&name)?;
    let shape = volume.shape();
    println!("{name}: {shape:?} voxels of {}, {:?}", volume.dtype(), volume.spacing());

    // One patch, as real values, whatever the type of the voxels. It may leave the volume.
    let patch = shape.map(|length| length.min(32));
    let corner = Region::new([-4, -4, -4], patch);
    let values = volume.view().scaled().padded(Padding::Edge).read::<f32>(corner)?;
    println!("{corner}: mean {:.1}", values.mean().unwrap_or_default());

    // Many at once: a chunk that they share is decoded once. n, z, y, x.
    let middle = shape.map(|length| i64::try_from(length / 2).unwrap_or(0));
    let regions = [0, 4, 8].map(|z| Region::new([z, middle[1], middle[2]], patch));
    let edge = volume.view().scaled().padded(Padding::Edge);
    let batch = edge.read_many::<f32>(&regions, &Pool::new(2)?)?;
    println!("a batch of shape {:?}", batch.shape());

    // What a read costs, before it is done.
    let cost = volume.cost(Region::new([0; 3], patch))?;
    println!("{} chunks, {} stored bytes", cost.chunks, cost.stored_bytes);
    Ok(())
}
