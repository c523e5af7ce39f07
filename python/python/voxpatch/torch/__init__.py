"""voxpatch beside PyTorch.

:class:`LazyTensor` stands where a library wants a tensor of a whole scan, and reads the patches that
are sliced out of it. :class:`PatchDataset` feeds a ``DataLoader``. Needs ``pip install "voxpatch[torch]"``.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    from voxpatch.errors import MissingExtraError

    raise MissingExtraError('voxpatch.torch needs PyTorch: pip install "voxpatch[torch]"') from error

from voxpatch.torch._data import PatchDataset, collate
from voxpatch.torch._lazy import LazyTensor, MaterialisedError, materialising

__all__ = ["LazyTensor", "MaterialisedError", "PatchDataset", "collate", "materialising"]
