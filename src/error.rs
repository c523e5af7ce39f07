//! The one error type of the crate, sorted by what a caller can do.
//!
//! Every variant names the operation and the place. Errors of other libraries are boxed as
//! `source`, never part of a signature. There is no conversion from [`std::io::Error`], so that no
//! path is lost.

use std::path::PathBuf;

use crate::{Dtype, Hint, Region};

/// A [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Every failure, by what the caller can do.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is stored there: check the path or the name.
    #[error("{what} not found: {}", path.display())]
    NotFound {
        /// The missing thing: "scan", "store", "subject", "volume".
        what: &'static str,
        /// Its path.
        path: PathBuf,
    },

    /// The target exists: choose another name, or ask to overwrite.
    #[error("already exists: {} (ask to overwrite, or choose another name)", path.display())]
    AlreadyExists {
        /// The existing target.
        path: PathBuf,
    },

    /// Predictions would replace a volume that no model can make again: a scan, or labels of
    /// another origin. Choose another name, or allow it by
    /// [`crate::aggregate::Overwrite::Anything`].
    #[error(
        "{}: exists and holds no predictions, so nothing in the store could make it again; choose \
         another name for the output",
        path.display()
    )]
    NotPredicted {
        /// The existing volume.
        path: PathBuf,
    },

    /// The region leaves the volume and no padding was chosen.
    #[error(
        "region {region} leaves the volume of shape {} (z, y, x); choose a padding or move it",
        show(shape)
    )]
    OutOfBounds {
        /// The requested region.
        region: Region,
        /// Shape of the volume, z, y, x.
        shape: [usize; 3],
    },

    /// The voxels have another type than the requested one.
    #[error(
        "the voxels are {stored}, {asked} was asked for; read them as {stored}, or as scaled f32"
    )]
    DtypeMismatch {
        /// Type of the voxels.
        stored: Dtype,
        /// Type of the caller's buffer.
        asked: Dtype,
    },

    /// An argument is invalid: the message names it and valid values.
    #[error("{what} {value:?}: {reason}")]
    InvalidArgument {
        /// Name of the argument.
        what: &'static str,
        /// Its value, as given.
        value: String,
        /// The reason and the remedy.
        reason: String,
        /// The result of [`Error::hint`].
        hint: Option<Hint>,
    },

    /// An impossible chunk layout: the message gives the reason.
    #[error("layout: {reason}")]
    InvalidLayout {
        /// The reason and the remedy.
        reason: String,
    },

    /// A valid file of a kind that this version does not support.
    #[error("{}: not supported: {reason}", path.display())]
    UnsupportedScan {
        /// The source file.
        path: PathBuf,
        /// The unsupported property, and the remedy.
        reason: String,
    },

    /// A source file that contradicts itself or ends too early.
    #[error("{}: damaged scan: {reason}", path.display())]
    CorruptScan {
        /// The source file.
        path: PathBuf,
        /// The contradiction or the missing part.
        reason: String,
    },

    /// A stored volume whose bytes differ from those that were written.
    #[error("{}: damaged store: {reason}", path.display())]
    CorruptStore {
        /// The damaged file of the store.
        path: PathBuf,
        /// The damage, and its place in the file.
        reason: String,
    },

    /// The volume was replaced after this handle was opened: open it again.
    #[error("{}: the volume was replaced since it was opened; open it again", path.display())]
    Replaced {
        /// The volume.
        path: PathBuf,
    },

    /// Another writer has replaced the volume meanwhile, and its volume is kept: check it, and
    /// write again if needed.
    #[error(
        "{}: another process has replaced the volume meanwhile, and its volume is kept",
        path.display()
    )]
    Conflict {
        /// The volume.
        path: PathBuf,
    },

    /// Another process is working on the same volume: try again when it has ended.
    #[error("{}: {reason}", path.display())]
    Busy {
        /// The path it works on.
        path: PathBuf,
        /// The work of the other process.
        reason: &'static str,
    },

    /// A Zarr node that is not a voxpatch volume, or an incomplete one.
    #[error("{}: not a voxpatch {what}: {reason}", path.display())]
    NotVoxpatch {
        /// The expected node: "store", "volume".
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The missing or different property.
        reason: String,
    },

    /// Written by a newer voxpatch: upgrade to read it.
    #[error("{}: format version {found} is newer than {supported}, the newest this voxpatch reads; \
             upgrade it", path.display())]
    VersionTooNew {
        /// Path of the node.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest version that is supported.
        supported: u64,
    },

    /// An aggregation of this volume was begun and not finished: resume it.
    #[error("{}: {reason}", path.display())]
    Unfinished {
        /// The volume to be made, or the first of several.
        path: PathBuf,
        /// The missing shards, and the remedy.
        reason: String,
    },

    /// Written voxels of an unfinished aggregation may be wrong: restart it, or declare them
    /// trusted.
    #[error("{}: {reason}", path.display())]
    InDoubt {
        /// The volume to be made, or the first of several.
        path: PathBuf,
        /// The event, and the remedy.
        reason: String,
    },

    /// Predictions of some patches are missing: add them, or fill their voxels.
    #[error(
        "{missing} patches have no prediction yet, {}; add them, or fill their voxels",
        name_patches(*missing, patches, regions)
    )]
    Incomplete {
        /// Number of missing patches.
        missing: u64,
        /// The numbers of the first of them.
        patches: Vec<u64>,
        /// The regions of these.
        regions: Vec<Region>,
    },

    /// A program that predicts has failed or broken the protocol: the message gives details and the
    /// remedy.
    #[error("the model `{command}`: {reason}")]
    Model {
        /// The command that it was started with.
        command: String,
        /// The failure, the patch, and the remedy.
        reason: String,
        /// The result of [`Error::hint`].
        hint: Option<Hint>,
    },

    /// The caller asked to stop. Nothing is left behind, except the state from which an aggregation
    /// can be resumed.
    #[error("cancelled")]
    Cancelled,

    /// The failure of one of many subjects: correct it, or leave the subject out.
    #[error("subject {subject}: {source}")]
    Subject {
        /// The subject.
        subject: String,
        /// The failure.
        source: Box<Self>,
    },

    /// Code that ran for the caller panicked: the caller's sampler or view, or a bug of this
    /// library.
    #[error("{what} panicked: {message}")]
    Panicked {
        /// The work that was being done.
        what: &'static str,
        /// The message of the panic.
        message: String,
    },

    /// A system call failed: the message gives the action and the path.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action: "open", "write", "sync", ...
        action: &'static str,
        /// Its path.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },

    /// The storage library failed although our own checks had passed.
    #[error("{}: {action}: {source}", path.display())]
    Store {
        /// The action.
        action: &'static str,
        /// Path of the node.
        path: PathBuf,
        /// The library's error.
        source: Source,
    },
}

impl Error {
    /// A remedy beyond the message, if one remedy helps in every case of this error.
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
        move |source| match source.kind() {
            std::io::ErrorKind::ResourceBusy => {
                Self::Busy { path, reason: "another process is replacing its document right now" }
            }
            _ => Self::Io { action, path, source },
        }
    }

    pub(crate) fn invalid(
        what: &'static str,
        value: impl std::fmt::Display,
        reason: impl Into<String>,
    ) -> Self {
        let (value, reason) = (format!("{value}"), reason.into());
        Self::InvalidArgument { what, value, reason, hint: None }
    }

    /// Adds a remedy.
    pub(crate) fn hinting(mut self, way: Hint) -> Self {
        if let Self::InvalidArgument { hint, .. } | Self::Model { hint, .. } = &mut self {
            *hint = Some(way);
        }
        self
    }

    /// Removes the remedy, where nothing was begun that could be resumed.
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

/// Whether a disk, or the user's quota, is full.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Names the first of some missing patches.
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
