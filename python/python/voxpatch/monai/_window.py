"""Averages of overlapping patches, of the planes that are not complete yet."""

import numpy as np


class Window:
    """Sums over a range of planes across the first spatial axis of a volume.

    It grows at the end by the planes that a patch reaches, and :meth:`take` removes planes at its
    beginning.

    Args:
        channels: Channels of the patches.
        shape: The three lengths of the volume.
    """

    def __init__(self, channels: int, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.first = 0
        self._sums = np.zeros((channels, 0, *shape[1:]), "float32")
        # Patches that cover a voxel: the same number in all channels.
        self._counts = np.zeros((0, *shape[1:]), "float32")

    def add(self, patch: np.ndarray, location: list[int]) -> None:
        """Adds a patch ``(c, *spatial)`` that begins at a voxel; what leaves the volume is cut off."""
        lengths = zip(location, patch.shape[1:], self.shape, strict=True)
        cut = [
            (min(max(at, 0), end), min(max(at + length, 0), end)) for at, length, end in lengths
        ]
        inside = tuple(slice(a - at, b - at) for (a, b), at in zip(cut, location, strict=True))
        planes, *others = cut
        self._reach(planes[1])
        within = (slice(planes[0] - self.first, planes[1] - self.first), *(slice(*c) for c in others))
        self._sums[:, *within] += patch[:, *inside]
        self._counts[within] += 1

    def take(self, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Removes the planes before `stop`: averages ``(c, n, ...)``, and which voxels ``(n, ...)``
        no patch covers; the average there is 0."""
        self._reach(stop)
        count = stop - self.first
        counts = self._counts[:count]
        averages = self._sums[:, :count] / np.maximum(counts, 1)
        self._sums, self._counts = self._sums[:, count:].copy(), self._counts[count:].copy()
        self.first = stop
        return averages, counts == 0

    def _reach(self, stop: int) -> None:
        more = stop - self.first - len(self._counts)
        if more > 0:
            self._sums = np.pad(self._sums, ((0, 0), (0, more), (0, 0), (0, 0)))
            self._counts = np.pad(self._counts, ((0, more), (0, 0), (0, 0)))
