"""voxpatch beside TorchIO: subjects whose images stay on disk.

Stock samplers, ``Queue`` and ``GridSampler`` of TorchIO take them and read patches. What needs all
voxels of an image (a transform of the whole subject, ``LabelSampler`` for its label map) reads that
image as a whole.
"""

from collections.abc import Iterable
from typing import Any

import voxpatch
from voxpatch.errors import MissingExtraError
from voxpatch.torch import LazyTensor

try:
    import torchio
except ImportError as error:
    raise MissingExtraError("torchio") from error


def image(volume: voxpatch.Volume, **options: Any) -> torchio.Image:
    """A volume as a ``ScalarImage``, or as a ``LabelMap`` if it holds labels.

    Args:
        volume: The volume.
        options: As of :class:`voxpatch.torch.LazyTensor`: ``scaled=True`` for real values.
    """
    if volume.axes != "xyz":
        volume = voxpatch.open(volume.store, axes="xyz")[volume.name]
    kind = torchio.LabelMap if volume.kind == "label" else torchio.ScalarImage
    return kind(tensor=LazyTensor(volume, **options), affine=volume.affine)


def subject(
    of: voxpatch.Subject, images: Iterable[str] | None = None, *, scaled: bool = True
) -> torchio.Subject:
    """A subject of a store as a TorchIO subject.

    Args:
        of: The subject, ``dataset["case01"]``.
        images: The images to take; by default all.
        scaled: Intensities as real values in float32, as TorchIO reads files; otherwise as stored.
    """
    volumes = {name: of[name] for name in (of if images is None else images)}
    return torchio.Subject(
        name=of.name,
        **{
            name: image(volume, scaled=scaled and volume.kind != "label")
            for name, volume in volumes.items()
        },
    )
