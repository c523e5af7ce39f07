"""Batches of tensors as MONAI's ``MetaTensor``."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import MetaKeys, SpaceKeys, TraceKeys


def with_meta(batch: dict[str, Any], images: Iterable[str], store: str, axes: str) -> dict[str, Any]:
    """A batch whose images are MetaTensors, as ``list_data_collate`` makes them.

    Args:
        batch: Tensors ``(n, c, *patch)`` of the images, ``subject``, ``start`` and ``affine``.
        images: The keys of the images.
        store: The path of the store.
        axes: ``"zyx"`` or ``"xyz"``.
    """
    affines, count = of_axes(batch["affine"], axes), len(batch["subject"])
    made: dict[str, Any] = {}
    for image in images:
        tensor = batch[image].as_subclass(MetaTensor)
        tensor.meta = {
            MetaKeys.AFFINE: affines.clone(),
            MetaKeys.SPACE: [SpaceKeys.RAS] * count,
            "filename_or_obj": [f"{store}/{subject}/{image}" for subject in batch["subject"]],
        }
        tensor.applied_operations = [TraceKeys.NONE] * count
        tensor.is_batch = True
        made[image] = tensor
    return {**made, "subject": batch["subject"], "start": batch["start"]}


def of_axes(affine: Any, axes: str) -> torch.Tensor:
    """Matrices that take a voxel to millimetres, for voxels given in the order of the axes."""
    affine = torch.as_tensor(np.asarray(affine))
    return affine if axes == "xyz" else affine[..., [2, 1, 0, 3]]
