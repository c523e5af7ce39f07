"""TorchIO: GridAggregator, a batch of one patch at a time, in the order of its GridSampler.

Its axes are called x, y, z; it is given ours in their order, so that memory is laid out alike.
"""

import time
from types import SimpleNamespace

import blending
import numpy as np
import torch
import torchio as tio
from common import Aggregated


class GridAggregator:
    version = f"{tio.__version__}, torch {torch.__version__}"

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def aggregate(self, job: blending.Job, predictions: np.ndarray) -> Aggregated:
        torch.set_num_threads(1)
        tensors = torch.from_numpy(predictions)
        begun = time.perf_counter()
        # All of a GridSampler that the aggregator looks at. A real one holds a volume as well.
        sampler = SimpleNamespace(
            subject=SimpleNamespace(spatial_shape=job.shape),
            patch_size=np.array(job.patch),
            patch_overlap=np.array(job.overlap),
            padding_mode=None,
        )
        locations = torch.as_tensor(
            [[*start, *(s + n for s, n in zip(start, shape))] for start, shape in job.regions()]
        )
        aggregator = tio.GridAggregator(sampler, overlap_mode=self.mode)
        for number in range(len(locations)):
            batch = tensors[number % blending.DISTINCT][None]
            aggregator.add_batch(batch, locations[number : number + 1])
        added = time.perf_counter()
        volume = aggregator.get_output_tensor()
        finishing = time.perf_counter() - added
        return Aggregated(volume.numpy(), added - begun, finishing, len(locations))


RIVALS = {f"torchio-{mode}": GridAggregator(mode) for mode in ("crop", "average", "hann")}
