//! What a caller can do about an error, as a name: the command renders it as flags, a program calls
//! what it stands for.

/// A way out of an [`crate::Error`], beyond what its message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Ask to overwrite what is there.
    Overwrite,
    /// Choose another name for the output, or ask to overwrite what is no prediction:
    /// [`crate::aggregate::Overwrite::Anything`].
    OverwriteSource,
    /// Choose a padding: [`crate::View::padded`].
    Pad,
    /// Have voxels returned as another type: [`crate::View::converted`].
    ReturnedType,
    /// Go on with the aggregation: [`crate::aggregate::Unfinished::Resume`].
    Resume,
    /// Go on with the aggregation, or begin it anew.
    ResumeOrRestart,
    /// Begin the aggregation anew: [`crate::aggregate::Unfinished::Restart`].
    Restart,
    /// Begin the aggregation anew, or trust what is written of it:
    /// [`crate::aggregate::Unfinished::ResumeInDoubt`].
    RestartOrTrust,
    /// Make one of the parts that were begun: [`crate::aggregate::Plan::split`].
    OnePart,
    /// Give all outputs the same shards: [`crate::aggregate::Output::shard`].
    SameShards,
    /// Say what becomes of numbers that are not finite: [`crate::aggregate::NonFinite`].
    NonFinite,
    /// Choose time points: [`crate::Frames`].
    TimePoints,
    /// Leave the fourth axis as the scan has it.
    FourthAxisAsFound,
    /// Store voxels as intensities: [`crate::Kind::Intensity`].
    AsIntensities,
    /// Make room on the disk, and do it again; an aggregation is gone on with.
    MakeRoom,
    /// Narrow whole numbers to integers: [`crate::ConvertOptions::narrow`].
    Narrow,
    /// Give a patch that fits the volume: [`crate::bench::Options::patches`].
    SmallerPatch,
    /// Name another folder for the copy, or measure without: [`crate::bench::Options::baseline`].
    NoBaseline,
}
