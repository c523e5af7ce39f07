"""Volumes of a store as images of TorchIO 2."""

import os
from typing import Any

import torch

import voxpatch
from voxpatch._dataset import volume_at
from voxpatch.torch import LazyTensor


class Reader:
    """Reads volumes for ``torchio.ScalarImage("scans.zarr/case01/ct", reader=Reader())``.

    The image is lazy: its shape and affine read no voxels, and slices read those that they have.
    """

    def __init__(self, *, scaled: bool = True) -> None:
        """`scaled`: real values in float32; otherwise as stored. Labels are as stored."""
        self.scaled = scaled

    def __call__(self, path: str | os.PathLike[str], **kwargs: Any) -> tuple[torch.Tensor, Any]:
        """All voxels and the affine."""
        backend = self._backend(path)
        return backend.to_tensor(), backend.affine.numpy()

    def create_backend(self, request: Any) -> "Backend":
        """The backend of a request of TorchIO's."""
        return self._backend(request.path)

    def _backend(self, path: str | os.PathLike[str]) -> "Backend":
        volume = volume_at(path, "xyz")
        return Backend(LazyTensor(volume, scaled=self.scaled and volume.kind != "label"), volume)


class Backend:
    """A volume as TorchIO 2 slices it: ``(c, x, y, z)``, no axis dropped."""

    def __init__(self, tensor: LazyTensor, volume: voxpatch.Volume) -> None:
        self._tensor = tensor
        self.shape = tuple(tensor.shape)
        self.affine = torch.from_numpy(volume.affine)
        self.dtype = volume.dtype

    def __getitem__(self, item: Any) -> torch.Tensor:
        from torchio.data.backends import normalize_index

        return self._tensor[normalize_index(item)]

    def to_tensor(self) -> torch.Tensor:
        return self._tensor[...].clone()
