"""A reader of whole volumes for MONAI's ``LoadImage``."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from monai.data import ImageReader
from monai.utils import MetaKeys, SpaceKeys

import voxpatch
from voxpatch._dataset import volume_at


class VoxpatchReader(ImageReader):
    """Reads whole volumes for ``LoadImage(reader=VoxpatchReader())`` and ``LoadImaged``.

    A path is that of a volume, ``scans.zarr/case01/ct``. Arrays are in MONAI's order ``x, y, z``,
    several channels on a last axis; values are real ones, as MONAI reads them from NIfTI files.
    """

    def verify_suffix(self, filename: Sequence[os.PathLike | str] | os.PathLike | str) -> bool:
        """Whether all paths are those of volumes."""
        return all(_find(path) is not None for path in _paths(filename))

    def read(self, data: Any, **kwargs: Any) -> Any:
        """Opens the volumes, which reads no voxels."""
        volumes = []
        for path in _paths(data):
            volume = _find(path)
            if volume is None:
                raise voxpatch.errors.NotFoundError(f"volume not found: {path}")
            volumes.append(volume)
        return volumes if len(volumes) > 1 else volumes[0]

    def get_data(self, img: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """The voxels and their metadata; several volumes are stacked on a first axis."""
        volumes = img if isinstance(img, list) else [img]
        arrays = [_array(volume) for volume in volumes]
        meta = _meta(volumes[0])
        if len(arrays) == 1:
            return arrays[0], meta
        meta[MetaKeys.ORIGINAL_CHANNEL_DIM] = 0
        return np.stack(arrays), meta


def _paths(data: Any) -> list[Any]:
    return [data] if isinstance(data, str | os.PathLike) else list(data)


def _find(path: Any) -> voxpatch.Volume | None:
    """The volume of a path, or None if there is no store."""
    try:
        return volume_at(path, "xyz")
    except (voxpatch.errors.NotFoundError, voxpatch.errors.InvalidArgumentError):
        return None


def _array(volume: voxpatch.Volume) -> np.ndarray:
    is_scaled = volume.kind != "label"
    array = volume.read((0, 0, 0), volume.spatial_shape, scaled=is_scaled)
    return np.moveaxis(array, 0, -1) if array.ndim == 4 else array


def _meta(volume: voxpatch.Volume) -> dict[str, Any]:
    return {
        MetaKeys.AFFINE: volume.affine,
        MetaKeys.ORIGINAL_AFFINE: volume.affine,
        MetaKeys.SPACE: SpaceKeys.RAS,
        MetaKeys.SPATIAL_SHAPE: np.array(volume.spatial_shape),
        MetaKeys.ORIGINAL_CHANNEL_DIM: -1 if volume.channels > 1 else float("nan"),
        "filename_or_obj": f"{volume.store}/{volume.name}",
    }
