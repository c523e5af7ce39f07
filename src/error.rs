//! The one error type of the crate, sorted by what the caller can do about it.
//!
//! Every variant says what and where. Errors of other libraries travel boxed as `source`, never
//! in a signature. There is no conversion from [`std::io::Error`], so that a path cannot be
//! forgotten on the way.

use std::path::PathBuf;

use crate::{Dtype, Hint, Region};

/// A [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Everything that can go wrong, by what the caller can do.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is stored there: check the path or the name.
    #[error("{what} not found: {}", path.display())]
    NotFound {
        /// What was looked for: "scan", "store", "subject", "volume".
        what: &'static str,
        /// Where.
        path: PathBuf,
    },

    /// The target exists: choose another name, or ask to overwrite.
    #[error("already exists: {} (ask to overwrite, or choose another name)", path.display())]
    AlreadyExists {
        /// The target that is in the way.
        path: PathBuf,
    },

    /// Predictions were to replace what no model can make again: a scan, or labels of another
    /// origin. Choose another name, or ask for that by [`crate::aggregate::Overwrite::Anything`].
    #[error(
        "{}: is there and holds no predictions, so that nothing in the store could make it again; \
         choose another name for the output",
        path.display()
    )]
    NotPredicted {
        /// The volume that is in the way.
        path: PathBuf,
    },

    /// The region leaves the volume and no padding was asked for.
    #[error(
        "region {region} leaves the volume of shape {} (z, y, x); choose a padding or move it",
        show(shape)
    )]
    OutOfBounds {
        /// The region asked for.
        region: Region,
        /// Shape of the volume, z, y, x.
        shape: [usize; 3],
    },

    /// The voxels are of another type than the one asked for.
    #[error(
        "the voxels are {stored}, {asked} was asked for; read them as {stored}, or as scaled f32"
    )]
    DtypeMismatch {
        /// Type that is read.
        stored: Dtype,
        /// Type of the caller's buffer.
        asked: Dtype,
    },

    /// An argument makes no sense by itself: the message says which and what would.
    #[error("{what} {value:?}: {reason}")]
    InvalidArgument {
        /// Which argument.
        what: &'static str,
        /// Its value, as given.
        value: String,
        /// Why it is refused, and the remedy.
        reason: String,
        /// What [`Error::hint`] gives.
        hint: Option<Hint>,
    },

    /// A chunk layout that cannot be: the message says why.
    #[error("layout: {reason}")]
    InvalidLayout {
        /// Why it is refused, and the remedy.
        reason: String,
    },

    /// A sound file of a kind that this version does not read.
    #[error("{}: not supported: {reason}", path.display())]
    UnsupportedScan {
        /// The source file.
        path: PathBuf,
        /// What is not supported, and the remedy.
        reason: String,
    },

    /// A source file that contradicts itself or ends too early.
    #[error("{}: damaged scan: {reason}", path.display())]
    CorruptScan {
        /// The source file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A stored volume whose bytes are not the ones that were written.
    #[error("{}: damaged store: {reason}", path.display())]
    CorruptStore {
        /// The damaged file of the store.
        path: PathBuf,
        /// What is wrong with it, and where inside the file.
        reason: String,
    },

    /// The volume was replaced after this handle was opened: open it again.
    #[error("{}: the volume was replaced since it was opened; open it again", path.display())]
    Replaced {
        /// The volume.
        path: PathBuf,
    },

    /// Another writer has replaced the volume meanwhile, and that one stays: look at it, and write
    /// again if this one is wanted.
    #[error(
        "{}: another process has replaced the volume meanwhile, and its volume is kept",
        path.display()
    )]
    Conflict {
        /// The volume.
        path: PathBuf,
    },

    /// Another process is at work on the same: try again when it has ended.
    #[error("{}: {reason}", path.display())]
    Busy {
        /// What it works on.
        path: PathBuf,
        /// What it does.
        reason: &'static str,
    },

    /// A Zarr node that is not a voxpatch volume, or not all of one.
    #[error("{}: not a voxpatch {what}: {reason}", path.display())]
    NotVoxpatch {
        /// What was expected there: "store", "volume".
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What is missing or different.
        reason: String,
    },

    /// Written by a newer voxpatch: upgrade to read it.
    #[error("{}: format version {found} is newer than {supported}, the newest this voxpatch reads; upgrade it", path.display())]
    VersionTooNew {
        /// The node.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest version understood here.
        supported: u64,
    },

    /// An aggregation of this volume was begun and not finished: go on with it.
    #[error("{}: {reason}", path.display())]
    Unfinished {
        /// The volume that it is to make, or the first of several.
        path: PathBuf,
        /// What is not there, and what to do about it.
        reason: String,
    },

    /// What was written of an unfinished aggregation may be wrong: restart it, or say that it is to
    /// be trusted.
    #[error("{}: {reason}", path.display())]
    InDoubt {
        /// The volume that it is to make, or the first of several.
        path: PathBuf,
        /// What happened, and what to do about it.
        reason: String,
    },

    /// Predictions of some patches are missing: add them, or have their voxels filled.
    #[error(
        "{missing} patches have no prediction yet, {}; add them, or fill their voxels",
        name_patches(*missing, patches, regions)
    )]
    Incomplete {
        /// How many.
        missing: u64,
        /// The numbers of the first of them.
        patches: Vec<u64>,
        /// Where these lie.
        regions: Vec<Region>,
    },

    /// A program that predicts does not do as it is to: the message says what, and the remedy.
    #[error("the model `{command}`: {reason}")]
    Model {
        /// The command that it was started with.
        command: String,
        /// What is wrong, of which patch, and the remedy.
        reason: String,
        /// What [`Error::hint`] gives.
        hint: Option<Hint>,
    },

    /// The caller asked to stop. Nothing was left behind, but what an aggregation can go on from.
    #[error("cancelled")]
    Cancelled,

    /// What went wrong with one of many subjects: fix it, or leave the subject out.
    #[error("subject {subject}: {source}")]
    Subject {
        /// The subject.
        subject: String,
        /// What went wrong.
        source: Box<Self>,
    },

    /// Code that was run for the caller panicked: a sampler or a view of theirs, or a bug of ours.
    #[error("{what} panicked: {message}")]
    Panicked {
        /// What was being done.
        what: &'static str,
        /// What the panic said.
        message: String,
    },

    /// The system refused: the message says what was tried on which path.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "open", "write", "sync", ...
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },

    /// The storage library failed where our own checks had passed.
    #[error("{}: {action}: {source}", path.display())]
    Store {
        /// What was tried.
        action: &'static str,
        /// On which node.
        path: PathBuf,
        /// The library's error.
        source: Source,
    },
}

impl Error {
    /// What can be done about it, where one thing helps in every case that ends like this.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::InvalidArgument { hint, .. } | Self::Model { hint, .. } => *hint,
            Self::AlreadyExists { .. } => Some(Hint::Overwrite),
            Self::NotPredicted { .. } => Some(Hint::OverwriteSource),
            Self::OutOfBounds { .. } => Some(Hint::Pad),
            Self::Unfinished { .. } => Some(Hint::ResumeOrRestart),
            Self::InDoubt { .. } => Some(Hint::RestartOrTrust),
            Self::Incomplete { .. } => Some(Hint::Resume),
            Self::Subject { source, .. } => source.hint(),
            Self::Io { source, .. } if is_full(source) => Some(Hint::MakeRoom),
            _ => None,
        }
    }

    /// For `map_err`: names the action and the path of a failed system call.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn invalid(
        what: &'static str,
        value: impl std::fmt::Display,
        reason: impl Into<String>,
    ) -> Self {
        let (value, reason) = (format!("{value}"), reason.into());
        Self::InvalidArgument { what, value, reason, hint: None }
    }

    /// The same with a way out.
    pub(crate) fn hinting(mut self, way: Hint) -> Self {
        if let Self::InvalidArgument { hint, .. } | Self::Model { hint, .. } = &mut self {
            *hint = Some(way);
        }
        self
    }

    /// The same where nothing was begun that could be gone on with.
    pub(crate) fn without_hint(mut self) -> Self {
        if let Self::InvalidArgument { hint, .. } | Self::Model { hint, .. } = &mut self {
            *hint = None;
        }
        self
    }

    pub(crate) fn corrupt_store(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::CorruptStore { path: path.into(), reason: reason.into() }
    }
}

/// Whether a disk, or what a user may have of it, is full.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// The first of some missing patches.
fn name_patches(missing: u64, patches: &[u64], regions: &[Region]) -> String {
    let name = |(number, region)| format!("patch {number} ({region})");
    let named: Vec<_> = patches.iter().zip(regions).map(name).collect();
    let more = if named.len() as u64 == missing { "" } else { ", ..." };
    format!("{}{more}", named.join(", "))
}

/// `ZxYxX`, as everywhere on the command line.
pub(crate) fn show(shape: &[usize; 3]) -> String {
    format!("{}x{}x{}", shape[0], shape[1], shape[2])
}
