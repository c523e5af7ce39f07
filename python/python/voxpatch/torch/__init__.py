"""voxpatch beside PyTorch.

:class:`LazyTensor` stands where a library wants a tensor of a whole scan, and reads the patches that
are sliced out of it. :class:`PatchLoader` gives batches that threads of the engine read ahead,
:class:`PatchDataset` feeds torch's ``DataLoader``. Needs ``pip install "voxpatch[torch]"``.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    from voxpatch.errors import MissingExtraError

    raise MissingExtraError('voxpatch.torch needs PyTorch: pip install "voxpatch[torch]"') from error

from voxpatch.torch._data import PatchDataset, collate
from voxpatch.torch._loader import PatchLoader
from voxpatch.torch._lazy import LazyTensor, MaterialisedError, materialising

__all__ = ["LazyTensor", "MaterialisedError", "PatchDataset", "PatchLoader", "collate", "materialising"]
