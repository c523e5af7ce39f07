"""Samplers: where patches lie. They hold numbers alone, and are compared and pickled as such.

Triples are in the order of the axes of the store that a sampler is used with. A single number stands
for a cube.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from voxpatch import _voxpatch
from voxpatch._voxpatch import Regions, Volume

Shape = int | Sequence[int]


class Sampler:
    """A way of choosing places of patches, for any number of volumes.

    The place of a draw follows from seed, epoch and index alone.
    """

    patch: Any

    def prepare(self, volume: Volume) -> Regions:
        """The places that are drawn from one volume. Reads no more than some blocks of it.

        Raises:
            InvalidArgumentError: Nothing can be drawn: the patch does not fit, or no wanted class is
                there.
        """
        return self._made(volume.axes).prepare(volume)

    def _made(self, axes: str) -> _voxpatch.Sampler:
        raise NotImplementedError

    def __post_init__(self) -> None:
        object.__setattr__(self, "patch", _triple(self.patch))
        self._made("zyx")  # Refuses what makes no sense before anything is read.


def _triple(shape: Shape) -> tuple[int, ...]:
    return (int(shape),) * 3 if isinstance(shape, int | np.integer) else tuple(map(int, shape))


@dataclass(frozen=True)
class UniformSampler(Sampler):
    """All places where the patch fits, equally likely.

    Args:
        patch: The shape of patches.
        pad_small_volumes: Volumes smaller than the patch are drawn from too, the volume in the
            middle; images then need a ``pad``. Otherwise they are an error.
    """

    patch: Shape
    pad_small_volumes: bool = False

    def _made(self, axes: str) -> _voxpatch.Sampler:
        return _voxpatch.Sampler.uniform(axes, self.patch, self.pad_small_volumes)


@dataclass(frozen=True)
class LabelSampler(Sampler):
    """Around voxels of a label map, by weights of classes or of their voxels.

    Args:
        patch: The shape of patches.
        weights: ``{label: weight}``; by default all classes but 0 alike.
        by: ``"class"``: a class is chosen by weight, then one of its voxels. ``"voxel"``: a voxel is
            chosen by the weight of its class.
        border: ``"clamp"``, the default: a patch that would leave the volume is moved inside. ``"mask"``: only
            voxels around which the patch fits are chosen.
        pad_small_volumes: As of :class:`UniformSampler`.
    """

    patch: Shape
    weights: Mapping[int, float] | None = None
    by: str = field(default="class", kw_only=True)
    border: str = field(default="clamp", kw_only=True)
    pad_small_volumes: bool = field(default=False, kw_only=True)

    def _made(self, axes: str) -> _voxpatch.Sampler:
        weights = None if self.weights is None else list(self.weights.items())
        options = (self.by, self.border, self.pad_small_volumes)
        return _voxpatch.Sampler.label(axes, self.patch, weights, *options)

    def __post_init__(self) -> None:
        if self.weights is not None:
            # A copy, which the caller's dictionary does not change.
            object.__setattr__(self, "weights", dict(sorted(self.weights.items())))
        super().__post_init__()

    def __hash__(self) -> int:
        weights = None if self.weights is None else tuple(self.weights.items())
        return hash((self.patch, weights, self.by, self.border, self.pad_small_volumes))


@dataclass(frozen=True)
class WeightedSampler(Sampler):
    """Around voxels, in proportion to a volume of weights (``convert(..., kind="weights")``).

    Args:
        patch: The shape of patches.
        border: As of :class:`LabelSampler`.
        pad_small_volumes: As of :class:`UniformSampler`.
    """

    patch: Shape
    border: str = field(default="clamp", kw_only=True)
    pad_small_volumes: bool = field(default=False, kw_only=True)

    def _made(self, axes: str) -> _voxpatch.Sampler:
        options = (self.border, self.pad_small_volumes)
        return _voxpatch.Sampler.weighted(axes, self.patch, *options)


@dataclass(frozen=True)
class ForegroundSampler(Sampler):
    """Around foreground and background of a label map, 0 being background.

    Args:
        patch: The shape of patches.
        pos: Foreground and background are drawn in the ratio ``pos : neg``, as MONAI does.
        neg: See `pos`.
        oversample: Instead of a ratio, the probability of a patch that holds foreground, others
            lying anywhere, as nnU-Net does.
        border: As of :class:`LabelSampler`.
        pad_small_volumes: As of :class:`UniformSampler`.
    """

    patch: Shape
    pos: float = field(default=1.0, kw_only=True)
    neg: float = field(default=1.0, kw_only=True)
    oversample: float | None = field(default=None, kw_only=True)
    border: str = field(default="clamp", kw_only=True)
    pad_small_volumes: bool = field(default=False, kw_only=True)

    def _made(self, axes: str) -> _voxpatch.Sampler:
        options = (self.pos, self.neg, self.oversample, self.border, self.pad_small_volumes)
        return _voxpatch.Sampler.foreground(axes, self.patch, *options)


@dataclass(frozen=True)
class GridSampler(Sampler):
    """Nothing at random: places that cover the volume, as TorchIO's, MONAI's or nnU-Net's.

    Args:
        patch: The shape of patches.
        overlap: Voxels that neighbours share; or a fraction of the patch, below 1.
        tile_step_size: In place of an overlap, the most that patches start apart, as a share of the
            patch: patches are then spread evenly, as by nnU-Net (0.5 there).
        pad_borders: The grid begins half an overlap outside of the volume; images then need a
            ``pad``.
        pad_small_volumes: As of :class:`UniformSampler`.
        traversal: ``"lexicographic"``, or ``"morton"``: neighbours follow each other.
    """

    patch: Shape
    overlap: Any = 0
    tile_step_size: float | Sequence[float] | None = field(default=None, kw_only=True)
    pad_borders: bool = field(default=False, kw_only=True)
    pad_small_volumes: bool = field(default=False, kw_only=True)
    traversal: str = field(default="lexicographic", kw_only=True)

    def _made(self, axes: str) -> _voxpatch.Sampler:
        options = (self.pad_borders, self.pad_small_volumes, self.traversal)
        return _voxpatch.Sampler.grid(
            axes, self.patch, self.overlap, self.tile_step_size, *options
        )

    def __post_init__(self) -> None:
        overlap = self.overlap
        triple = (overlap,) * 3 if isinstance(overlap, Real) else tuple(overlap)
        object.__setattr__(self, "overlap", triple)
        super().__post_init__()

    def starts(self, volume: Volume | Sequence[int]) -> np.ndarray:
        """The first voxel of each place, int64, of shape ``(n, 3)``, in lexicographic order.

        Args:
            volume: A volume, or the three lengths of one.
        """
        if isinstance(volume, Volume):
            return _voxpatch._grid(self._made(volume.axes), volume.spatial_shape)
        return _voxpatch._grid(self._made("zyx"), tuple(volume))


def made(sampler: Any, axes: str, jitter: int | Sequence[int] = 0) -> _voxpatch.Sampler:
    """The library's sampler for one of these, or for a sampler in Python."""
    if isinstance(sampler, Sampler):
        found = sampler._made(axes)
    elif hasattr(sampler, "draw") and hasattr(sampler, "patch"):
        found = _voxpatch.Sampler.of_caller(axes, sampler)
    else:
        raise TypeError(_NO_SAMPLER.format(sampler))
    return found.jittered(jitter) if np.any(jitter) else found


_NO_SAMPLER = (
    "{!r} is no sampler: give one of voxpatch's, or an object with `patch` and "
    "`draw(shape, index, seed, epoch)`, which returns a start"
)
