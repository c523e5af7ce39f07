//! The Rust code of the README compiles as it stands there.
#![allow(dead_code, unused_variables, unused_imports, reason = "the code is compiled, not run")]
#![allow(clippy::all, clippy::pedantic, reason = "the code is laid out for readers of the README")]

use voxpatch::{Dataset, Pool, Region, Volume};

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

/// A model in the same process.
struct Model;

impl Model {
    fn predict(&self, _patch: ndarray::Array3<i16>) -> ndarray::Array4<f32> {
        ndarray::Array4::zeros([5, 64, 128, 128])
    }
}

#[rustfmt::skip]
fn patches(region: Region, mut buffer: Vec<i16>, mut bytes: Vec<u8>) -> Result {
    use ndarray::Array3;
    use voxpatch::{Dataset, Padding, Region};

    let store = Dataset::open("scans.zarr")?;
    let ct = store.volume("case01/image")?;

    // A patch of its own.
    let patch: Array3<i16> = ct.read(Region::new([100, 40, 40], [128, 128, 128]))?;

    // A patch into memory that is there already: nothing is allocated.
    ct.read_into(region, &mut buffer)?;

    // Beyond the border, as numpy.pad has it.
    let edge = ct.view().padded(Padding::Edge);
    let patch: Array3<i16> = edge.read(Region::new([-16, 0, 0], [64, 64, 64]))?;

    // Into the array of another library, of any strides, in bytes: rows back to front here.
    let (row, plane) = (128 * 2, 128 * 128 * 2);
    ct.view().read_bytes(region, &mut bytes, &[plane, row, -2])?;
    Ok(())
}

#[rustfmt::skip]
fn batches(store: Dataset, ct: Volume, regions: [Region; 2], region: Region, pool: Pool) -> Result {
    use ndarray::Array4;
    use voxpatch::{ChunkCache, Padding};
    let patches: Array4<i16> = ct.read_many(&regions, &pool)?;      // a shared chunk is decoded once
    let both = store.aligned("case01", &["image", "organs"])?;      // one grid, or an error
    let patch = both.read(region)?;
    let cache = ChunkCache::new(256 << 20);                         // bytes of decoded chunks
    let view = ct.view()
        .normalised(ct.clipped_z_score(0.5, 99.5)?)?                // f32, as nnU-Net normalises CT
        .flipped([false, false, true])
        .padded(Padding::Edge)
        .cached(&cache);
    Ok(())
}

#[rustfmt::skip]
fn frames(store: Dataset, regions: [Region; 2], region: Region, pool: Pool) -> Result {
    use ndarray::{Array4, Array5};
    use voxpatch::stream::ImageRequest;
    use voxpatch::{Frame, Frames};

    let mr = store.volume("case02/mr")?;
    let flair = mr.view().frame(Frame { time: 0, channel: 0 })?;        // reads z, y, x
    let all = mr.view().frames(Frames::All)?;                           // reads c, z, y, x
    let patch: Array4<i16> = all.read(region)?;
    let batch: Array5<i16> = all.read_many(&regions, &pool)?;           // n, c, z, y, x

    // In a stream: patch.frames("mr") is c, z, y, x, and batch.frames("mr") is n, c, z, y, x.
    let weightings = ImageRequest::new("mr").scaled().frames(Frames::All);
    Ok(())
}

#[rustfmt::skip]
fn training(store: Dataset) -> Result {
    use std::sync::Arc;
    use voxpatch::sample::LabelSampler;
    use voxpatch::stream::{ImageRequest, PatchStream, StreamOptions};

    let sampler = LabelSampler::per_class([96, 96, 96], Some(&[(1, 2.0), (2, 1.0)]))?;
    let options = StreamOptions::default().images(vec![ImageRequest::new("image").scaled(), ImageRequest::new("organs")]).sample_by(Some("organs".into())).workers(2);
    let mut stream = PatchStream::new(&store, store.subjects()?, Arc::new(sampler), &options)?;
    for patch in &mut stream {
        let patch = patch?;  // voxels of both images; subject, region, affine, padding, class drawn
    }
    std::fs::write("state.json", serde_json::to_vec(&stream.state())?)?;  // resumes at the next patch
    Ok(())
}

#[rustfmt::skip]
fn predictions(store: Dataset, ct: Volume, model: Model, pool: Pool) -> Result {
    use voxpatch::aggregate::{AggregateOptions, Aggregator, Blend, Output, Plan, Values};
    use voxpatch::sample::{GridSampler, Overlap};

    let sampler = GridSampler::new([64, 128, 128], Overlap::Fraction([0.5; 3]))?;
    let organs = Output::new("case01/predicted".parse()?, 5, Values::Argmax);
    let plan = Plan::new(&ct, &sampler, Blend::Hann, vec![organs])?;
    let aggregator = Aggregator::begin(&store, plan, &AggregateOptions::default())?;
    for number in aggregator.remaining() {
        let region = aggregator.plan().grid().region(number).expect("a patch of the plan");
        let scores = model.predict(ct.read(region)?);              // c, z, y, x
        aggregator.add(number, &[scores.view()])?;
    }
    aggregator.finish(&pool, &|_bytes| true)?;
    Ok(())
}

#[test]
fn every_block_of_the_readme_is_compiled_here() {
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    let here = bare(include_str!("readme.rs"));
    let blocks: Vec<&str> = include_str!("../README.md").split("```rust\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let code = block.split("```").next().unwrap_or_default();
        assert!(here.contains(&bare(code)), "copy this block of the README to this file:\n{code}");
    }
}
