//! The remedy of an error as flags.

use voxpatch::Hint;

/// The text below the error; empty for hints of a newer library.
pub fn flags(hint: Hint) -> &'static str {
    match hint {
        Hint::Overwrite => {
            "--overwrite replaces it; convert --name SUBJECT/OTHER, or another --out, stores \
             beside it"
        }
        Hint::OverwriteSource => {
            "aggregate --output OTHER=VALUES names it otherwise; --overwrite-source replaces what is \
             there all the same (aggregate, finalise)"
        }
        Hint::Pad => "read and aggregate --pad edge fill what is outside of the volume",
        Hint::ReturnedType => {
            "read and aggregate --dtype float32 (or another type that holds it) return that type"
        }
        Hint::Resume => "aggregate --resume goes on from what was predicted, if anything was",
        Hint::ResumeOrRestart => "aggregate --resume goes on with it, --restart begins anew",
        Hint::Restart => "aggregate --restart throws away what there is of it, and begins anew",
        Hint::RestartOrTrust => {
            "aggregate --restart begins it anew; if all answers before that were right, --resume \
             --trust goes on from what is written"
        }
        Hint::OnePart => "aggregate --part I/N goes on with one of N parts",
        Hint::SameShards => "aggregate --shard ZxYxX gives all outputs the same shards",
        Hint::NonFinite => {
            "aggregate --non-finite 0 puts a number in their place, --non-finite keep leaves them"
        }
        Hint::TimePoints => {
            "aggregate --frames 0 (or another) takes one of them, --frames all takes all as \
             channels"
        }
        Hint::FourthAxisAsFound => {
            "convert without --fourth-axis stores both axes as the file has them"
        }
        Hint::AsIntensities => "convert --intensity stores the voxels as measurements",
        Hint::MakeRoom => "make room and run the command again; aggregate goes on with --resume",
        Hint::SmallerPatch => "bench --patch gives a smaller one",
        Hint::NoBaseline => {
            "bench --scratch names another folder for the copy; --no-baseline does without"
        }
        Hint::Narrow => "convert --narrow stores whole numbers as integers",
        _ => "",
    }
}
