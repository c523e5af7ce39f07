"""numpy: sums and weights of the whole volume in memory, the least that does it."""

import time

import blending
import numpy as np
from common import Aggregated


class Dense:
    version = np.__version__

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def crop(self, job: blending.Job, predictions: np.ndarray) -> Aggregated:
        begun = time.perf_counter()
        volume = np.zeros((job.channels, *job.shape), np.float32)
        regions = job.regions()
        for number, (start, shape) in enumerate(regions):
            ranges = [blending.kept(*of) for of in zip(start, shape, job.overlap, job.shape)]
            inside = tuple(slice(a - s, b - s) for (a, b), s in zip(ranges, start))
            at = tuple(slice(a, b) for a, b in ranges)
            predicted = predictions[number % blending.DISTINCT]
            volume[(slice(None), *at)] = predicted[(slice(None), *inside)]
        return Aggregated(volume, time.perf_counter() - begun, 0.0, len(regions))

    def aggregate(self, job: blending.Job, predictions: np.ndarray) -> Aggregated:
        if self.mode == "crop":
            return self.crop(job, predictions)
        begun = time.perf_counter()
        sums = np.zeros((job.channels, *job.shape), np.float32)
        total = np.zeros(job.shape, np.float32)
        weights, regions = blending.window(self.mode, job.patch), job.regions()
        weights = None if weights is None else weights.astype(np.float32)
        for number, region in enumerate(regions):
            predicted = predictions[number % blending.DISTINCT]
            at = (slice(None), *region.slices)
            sums[at] += predicted if weights is None else predicted * weights
            total[region.slices] += 1 if weights is None else weights
        added = time.perf_counter()
        sums /= total
        return Aggregated(sums, added - begun, time.perf_counter() - added, len(regions))


RIVALS = {f"numpy-{mode}": Dense(mode) for mode in ("crop", "average", "hann", "gaussian")}
