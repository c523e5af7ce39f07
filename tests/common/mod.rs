//! Inputs and oracles that several tests share.
#![allow(dead_code, reason = "each test uses its part")]

pub mod cohort;
pub mod dense;
pub mod faulty;
pub mod files;
pub mod nifti;
pub mod place;
pub mod power;
pub mod predict;
pub mod tapped;
pub mod watched;
