"""The exceptions of voxpatch: one for each thing that a caller can do about a failure.

Each is a :class:`VoxpatchError` and, where Python has a class for the same, that one too, so that
``except FileNotFoundError`` works as everywhere else.
"""


class VoxpatchError(Exception):
    """Any failure of voxpatch.

    Attributes:
        hint: The argument that helps, or None.
        path: The file or volume that the error is about, or None.
    """

    hint: str | None = None
    path: str | None = None


class NotFoundError(VoxpatchError, FileNotFoundError, KeyError):
    """Nothing is stored there: check the path or the name."""

    __str__ = Exception.__str__  # A KeyError shows the repr of its message.


class AlreadyExistsError(VoxpatchError, FileExistsError):
    """The target exists: choose another name, or ask to overwrite."""


class NotPredictedError(AlreadyExistsError):
    """Predictions would replace a volume that no model can make again."""


class OutOfBoundsError(VoxpatchError, IndexError):
    """The region leaves the volume, and no padding was chosen."""


class DtypeMismatchError(VoxpatchError, TypeError):
    """The voxels have another type than the destination."""


class InvalidArgumentError(VoxpatchError, ValueError):
    """An argument is invalid: the message names it and valid values."""


class InvalidLayoutError(VoxpatchError, ValueError):
    """An impossible chunk layout: the message gives the reason."""


class UnsupportedScanError(VoxpatchError):
    """A valid file of a kind that this version does not read."""


class CorruptScanError(VoxpatchError):
    """A scan that contradicts itself or ends too early."""


class CorruptStoreError(VoxpatchError):
    """A stored volume whose bytes differ from those that were written."""


class ReplacedError(VoxpatchError):
    """The volume was replaced after this handle was opened: open it again."""


class ConflictError(VoxpatchError):
    """Another writer has replaced the volume meanwhile, and its volume is kept."""


class BusyError(VoxpatchError):
    """Another process works on the same volume: try again when it has ended."""


class NotVoxpatchError(VoxpatchError):
    """A folder that is not a voxpatch store or volume, or an incomplete one."""


class VersionTooNewError(VoxpatchError):
    """Written by a newer voxpatch: upgrade to read it."""


class UnfinishedError(VoxpatchError):
    """An aggregation of this volume was begun and not finished: resume it."""


class InDoubtError(UnfinishedError):
    """Written voxels of an unfinished aggregation may be wrong: restart it, or trust them."""


class IncompleteError(VoxpatchError):
    """Predictions of some patches are missing: add them, or fill their voxels."""


class ModelError(VoxpatchError):
    """A program that predicts has failed or broken the protocol."""


class CancelledError(VoxpatchError):
    """A progress callback asked to stop."""


class SubjectError(VoxpatchError):
    """The failure of one of many subjects: correct it, or leave the subject out.

    Attributes:
        subject: The name of the subject.
    """

    subject: str | None = None


class PanickedError(VoxpatchError):
    """Code that ran for the caller panicked: a bug, of the caller's sampler or of voxpatch."""


class IOError(VoxpatchError, OSError):
    """A system call failed: the message gives the action and the path, ``errno`` the reason."""


class MissingExtraError(VoxpatchError, ImportError):
    """A library that an adapter needs is not installed: the message names the extra to install.

    Args:
        extra: The extra.
    """

    def __init__(self, extra: str) -> None:
        super().__init__(f'a library is missing: pip install "voxpatch[{extra}]"')
