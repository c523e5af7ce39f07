"""Volumes in xarray: ``xarray.open_dataset("scans.zarr/case01/ct", engine="voxpatch")``.

The variable has the name of the image, coordinates in millimetres along each spatial axis (distances
from the first voxel), and the affine as an attribute. Voxels are read when they are used.
"""

from typing import Any

from voxpatch.errors import MissingExtraError

try:
    from xarray import Dataset, Variable
    from xarray.backends import BackendArray, BackendEntrypoint
    from xarray.core import indexing
except ImportError as error:
    raise MissingExtraError("xarray") from error

import numpy as np

import voxpatch
from voxpatch._dataset import volume_at

NAMES = {"t": "time", "c": "channel", "z": "z", "y": "y", "x": "x"}


class _Array(BackendArray):
    def __init__(self, volume: voxpatch.Volume) -> None:
        self.volume, self.shape, self.dtype = volume, volume.shape, volume.dtype

    def __getitem__(self, key: Any) -> Any:
        support = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(
            key, self.shape, support, self.volume.__getitem__
        )


class VoxpatchBackend(BackendEntrypoint):
    """Opens one volume of a store."""

    description = "volumes of voxpatch stores"

    def open_dataset(
        self, filename_or_obj: Any, *, drop_variables: Any = None
    ) -> Dataset:
        volume = volume_at(filename_or_obj)
        image = volume.name.split("/")[-1]
        axes = ("t" if volume.times > 1 else "") + ("c" if volume.channels > 1 else "") + "zyx"
        dims = [NAMES[axis] for axis in axes]
        attributes = {
            "kind": volume.kind,
            "affine": volume.affine.ravel().tolist(),
            "spacing": list(volume.spacing),
        }
        if volume.scaling is not None:
            attributes["scale_factor_of_real_values"], attributes["offset_of_real_values"] = (
                volume.scaling
            )
        lazy = indexing.LazilyIndexedArray(_Array(volume))
        variables = {image: Variable(dims, lazy, attributes)}
        for axis, length, mm in zip("zyx", volume.spatial_shape, volume.spacing, strict=True):
            variables[axis] = Variable((axis,), np.arange(length) * mm, {"units": "mm"})
        dropped = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
        kept = {name: v for name, v in variables.items() if name not in dropped}
        return Dataset(kept)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        try:
            volume_at(filename_or_obj)
        except (TypeError, ValueError, OSError, voxpatch.VoxpatchError):
            return False
        return True
