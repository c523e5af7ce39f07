"""A reader for napari: a volume, or all volumes of a subject or a store, each as a layer."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import voxpatch


def reader(path: Any) -> Callable[[Any], list[tuple[Any, dict[str, Any], str]]] | None:
    """The function that reads a path, or None if the path is not of a store."""
    if not isinstance(path, str | os.PathLike) or not _volumes(path):
        return None
    return lambda path: [_layer(volume) for volume in _volumes(path)]


def _volumes(path: Any) -> list[voxpatch.Volume]:
    """The volumes at or below a path: that of a store, of a subject or of a volume."""
    store = os.path.abspath(path)
    below: list[str] = []
    while len(below) < 3:
        try:
            dataset = voxpatch.open(store)
        except voxpatch.VoxpatchError:
            store, name = os.path.split(store)
            below.insert(0, name)
            continue
        prefix = "/".join(below)
        names = [n for n in dataset.volumes() if f"{n}/".startswith(f"{prefix}/" if prefix else "")]
        return [dataset[name] for name in names]
    return []


def _layer(volume: voxpatch.Volume) -> tuple[Any, dict[str, Any], str]:
    # From voxel z, y, x to millimetres z, y, x: the affine with both orders reversed.
    turned = np.eye(4)
    turned[:3, :3] = volume.affine[2::-1, 2::-1]
    turned[:3, 3] = volume.affine[2::-1, 3]
    leading = volume.ndim - 3
    affine = np.eye(volume.ndim + 1)
    affine[leading:, leading:] = turned
    meta: dict[str, Any] = {"name": volume.name, "affine": affine, "metadata": {"spacing": volume.spacing}}
    if volume.channels > 1:
        meta["channel_axis"] = leading - 1
        meta["name"] = [f"{volume.name} {n}" for n in range(volume.channels)]
        meta["affine"] = np.delete(np.delete(affine, leading - 1, 0), leading - 1, 1)
    return volume, meta, "labels" if volume.kind == "label" else "image"
