//! Everything that the library promises, in one program: linking one for each file takes minutes.

#[path = "../common/mod.rs"]
mod common;
#[path = "../sample_common/mod.rs"]
mod sample_common;

mod aggregate;
mod aggregate_errors;
mod aggregate_heads;
mod attributes;
mod batch;
mod batch_cache;
mod bench;
mod bytes;
mod checkpoint;
mod codec_trial;
mod convert_errors;
mod corrupt;
mod crash;
mod disk;
mod export;
mod export_errors;
mod fourth_axis;
mod frames;
mod frozen;
mod labels;
mod layout_plan;
mod lost_answer;
mod narrow;
mod noticed;
mod patch_query;
mod plane_scalings;
mod power_cut;
mod predict;
mod races;
mod read_mode;
mod round_trip;
mod sample_distribution;
mod sample_grid;
mod sample_index;
mod sampled_stream;
mod sampling_index;
mod sampling_index_crash;
mod scan_find;
mod scan_hostile;
mod scan_malformed;
mod scan_nifti;
mod scan_nifti_write;
mod scan_order;
mod scan_planes;
mod statistics;
mod stream;
mod stream_errors;
mod stream_frames;
mod stream_replaced;
mod views;
mod zarrs_reads;
