"""voxpatch beside PyTorch.

:class:`LazyTensor` stands where a library wants a tensor of a whole scan, and reads the patches that
are sliced out of it. :class:`PatchLoader` gives batches that threads of the engine read ahead,
:class:`PatchDataset` feeds torch's ``DataLoader``. Needs ``pip install "voxpatch[torch]"``.
"""

from voxpatch.errors import MissingExtraError

try:
    import torch as _torch
except ImportError as error:
    raise MissingExtraError("torch") from error

from voxpatch.torch._data import PatchDataset, collate
from voxpatch.torch._loader import PatchIterable, PatchLoader
from voxpatch.torch._lazy import LazyTensor, MaterialisedError, materialising

__all__ = [
    "LazyTensor",
    "MaterialisedError",
    "PatchDataset",
    "PatchIterable",
    "PatchLoader",
    "collate",
    "materialising",
]
