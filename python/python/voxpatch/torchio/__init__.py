"""voxpatch beside TorchIO: subjects whose images stay on disk, patches of them, and predictions.

:func:`subject` gives TorchIO's own ``Subject``: its samplers, ``Queue`` and ``GridSampler`` take the
subject and read patches. What needs all voxels of an image (a transform of the whole subject,
``LabelSampler`` for its label map) reads that image as a whole.

:class:`Queue`, :class:`GridSampler` and :class:`GridAggregator` take the place of TorchIO's classes
of these names: patches are read ahead by threads, borders are padded without a copy, and predictions
go to a store. They need TorchIO 1; images and subjects, and :class:`Reader`, work in the alpha
releases of TorchIO 2 too.
"""

from voxpatch.errors import MissingExtraError

try:
    import torchio as _torchio  # noqa: F401 - looked for first, for the sake of the message
except ImportError as error:
    raise MissingExtraError("torchio") from error

from voxpatch.torchio._subject import IS_FIRST, image, subject

__all__ = ["image", "subject"]

if IS_FIRST:
    from voxpatch.torchio._grid import GridAggregator, GridSampler
    from voxpatch.torchio._queue import Queue

    __all__ += ["GridAggregator", "GridSampler", "Queue"]
else:
    from voxpatch.torchio._reader import Reader

    __all__ += ["Reader"]
