"""Patchly: chunks of twice the patch along each axis (they must be larger than it), summed when
their patches are there, into a memory-mapped file. It finishes chunks in threads of its own.

It keeps predictions until their chunks are finished, and so is given copies, as of a network that
goes on; the seconds of copying are not counted.
"""

import time
from importlib.metadata import version

import blending
import numpy as np
from common import Aggregated, Copies
from patchly import Aggregator, GridSampler, SamplingMode


class Chunks:
    version = version("patchly")

    def __init__(self, weights: str) -> None:
        self.weights = weights

    def aggregate(self, job: blending.Job, predictions: np.ndarray) -> Aggregated:
        path, copy = job.folder / "volume.npy", Copies()
        numbers = {region.start: number for number, region in enumerate(job.regions())}
        begun = time.perf_counter()
        shape = (job.channels, *job.shape)
        volume = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        sampler = GridSampler(
            image=None,
            spatial_size=job.shape,
            patch_size=job.patch,
            step_size=job.step,
            chunk_size=tuple(min(2 * p, n) for p, n in zip(job.patch, job.shape)),
            spatial_first=False,
            mode=SamplingMode.SAMPLE_EDGE,
        )
        # As a plain array on the same memory: Patchly refuses numpy's class of mapped ones.
        plain = volume.view(np.ndarray)
        aggregator = Aggregator(sampler, output=plain, weights=self.weights, spatial_first=False)
        for box in sampler:
            number = numbers[tuple(map(int, box[:, 0]))]
            aggregator.append(copy(predictions[number % blending.DISTINCT].copy), box)
        added = time.perf_counter()
        aggregator.get_output()
        finishing, adding = time.perf_counter() - added, added - begun - copy.seconds
        return Aggregated(volume, adding, finishing, len(numbers), path.stat().st_size)


RIVALS = {"patchly-average": Chunks("avg"), "patchly-gaussian": Chunks("gaussian")}
