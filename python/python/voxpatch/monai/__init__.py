"""voxpatch beside MONAI.

:class:`PatchDataset` and :class:`PatchLoader` give MONAI's dictionaries of ``MetaTensor``.
:func:`sliding_window_inference` and, for ``PatchInferer``, :class:`GridSplitter` and :class:`Merger`
hold neither the volume nor the scores. :class:`VoxpatchReader` reads whole volumes. MONAI's own
inferers also take a :class:`voxpatch.torch.LazyTensor` in place of an image. Needs
``pip install "voxpatch[monai]"``.
"""

from voxpatch.errors import MissingExtraError

try:
    import monai as _monai
    import torch as _torch
except ImportError as error:
    raise MissingExtraError("monai") from error

from voxpatch.monai._data import PatchDataset, collate
from voxpatch.monai._inference import sliding_window_inference
from voxpatch.monai._loader import PatchLoader
from voxpatch.monai._merger import Merger
from voxpatch.monai._reader import VoxpatchReader
from voxpatch.monai._splitter import GridSplitter

__all__ = [
    "GridSplitter",
    "Merger",
    "PatchDataset",
    "PatchLoader",
    "VoxpatchReader",
    "collate",
    "sliding_window_inference",
]
