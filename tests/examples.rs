//! The examples run, on stores that they make and on one that they are given.
#![allow(clippy::duplicate_mod, reason = "each example is a program of its own")]

#[path = "../examples/phantom/mod.rs"]
mod phantom;

#[path = "../examples/read.rs"]
mod read;

#[path = "../examples/train.rs"]
mod train;

#[path = "../examples/predict.rs"]
mod predict;

use std::path::Path;

use voxpatch::Error;

#[test]
fn they_run_on_what_they_make_themselves() {
    read::run(None).expect("reads");
    train::run(None).expect("trains");
    predict::run(None).expect("predicts");
}

#[test]
fn they_run_on_a_store_that_is_given() {
    let (dataset, _folder) = phantom::open(None).expect("a store");
    let store = dataset.path();
    read::run(Some(&store)).expect("reads");
    train::run(Some(&store)).expect("trains");
    for _ in 0..2 {
        // A volume that is there is not replaced unless that is asked for.
        let done = predict::run(Some(&store));
        let is_there = matches!(done, Err(Error::AlreadyExists { .. }));
        assert!(done.is_ok() || is_there, "{done:?}");
    }
    let bright = dataset.volume("case01/bright").expect("predicted");
    assert_eq!(bright.shape(), [40, 96, 112]);
    let refused = read::run(Some(Path::new("/none"))).expect_err("no store");
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
}
