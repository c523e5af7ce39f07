"""Subjects and images of TorchIO over a store."""

from collections.abc import Iterable
from typing import Any

import torchio

import voxpatch
from voxpatch.torch import LazyTensor


# TorchIO 2 has other classes, and other arguments.
IS_FIRST = int(torchio.__version__.split(".")[0]) < 2


def image(volume: voxpatch.Volume, **options: Any) -> torchio.Image:
    """A volume as a ``ScalarImage``, or as a ``LabelMap`` if it holds labels.

    Args:
        volume: The volume.
        options: As of :class:`voxpatch.torch.LazyTensor`: ``scaled=True`` for real values.
    """
    volume = in_xyz(volume)
    tensor = LazyTensor(volume, **options)
    given = {"tensor": tensor} if IS_FIRST else {"source": tensor}
    return kind_of(volume)(**given, affine=volume.affine)


def subject(
    of: voxpatch.Subject, images: str | Iterable[str] | None = None, *, scaled: bool = True
) -> torchio.Subject:
    """A subject of a store as a TorchIO subject.

    Args:
        of: The subject, ``dataset["case01"]``.
        images: The images to take; by default all.
        scaled: Intensities as real values in float32, as TorchIO reads files; otherwise as stored.
    """
    volumes = {name: of[name] for name in names_of(of, images)}
    return torchio.Subject(
        name=of.name,
        **{
            name: image(volume, scaled=scaled and volume.kind != "label")
            for name, volume in volumes.items()
        },
    )


def names_of(of: voxpatch.Subject, images: str | Iterable[str] | None) -> list[str]:
    """The images of a subject that are asked for."""
    if isinstance(images, str):
        return [images]
    return list(of if images is None else images)


def kind_of(volume: voxpatch.Volume) -> type[torchio.Image]:
    """TorchIO's class for a volume."""
    return torchio.LabelMap if volume.kind == "label" else torchio.ScalarImage


def in_xyz(volume: voxpatch.Volume) -> voxpatch.Volume:
    """The volume in TorchIO's order of axes."""
    if volume.axes == "xyz":
        return volume
    return voxpatch.open(volume.store, axes="xyz")[volume.name]
