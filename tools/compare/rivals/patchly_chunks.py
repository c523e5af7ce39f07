"""Patchly: chunks of twice the patch along each axis (they must be larger than it), summed when
their patches are there, into a memory-mapped file.

It would finish chunks in two threads of its own, behind which predictions pile up that come as fast
as here: 5 GB of them in a volume of 512 x 512 x 512. They are finished in the one thread that adds
patches instead, which takes the same time and shows what it holds with a network that is slower.

It keeps predictions until their chunks are finished, and so is given copies, as of a network that
goes on; the seconds of copying are not counted.
"""

import time
from concurrent.futures import Executor
from importlib.metadata import version
from typing import Any, Callable

import blending
import numpy as np
from common import Aggregated, Copies
from patchly import Aggregator, GridSampler, SamplingMode


class AtOnce(Executor):
    """Does what is submitted before it goes on."""

    def submit(self, work: Callable[..., None], *arguments: Any) -> None:
        work(*arguments)


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
        aggregator.aggregator.executor = AtOnce()
        for box in sampler:
            number = numbers[tuple(map(int, box[:, 0]))]
            aggregator.append(copy(predictions[number % blending.DISTINCT].copy), box)
        added = time.perf_counter()
        aggregator.get_output()
        finishing, adding = time.perf_counter() - added, added - begun - copy.seconds
        return Aggregated(volume, adding, finishing, len(numbers), path.stat().st_size)


RIVALS = {"patchly-average": Chunks("avg"), "patchly-gaussian": Chunks("gaussian")}
