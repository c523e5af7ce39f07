"""MONAI: sliding_window_inference with a network that knows the answers, one window at a time.

The input is one voxel, expanded to the volume: it takes no memory, and cutting windows out of it
copies nothing. MONAI overwrites what the network returns, so that it is given a copy; the seconds
of copying are not counted.
"""

import time
import warnings

import blending
import monai
import numpy as np
import torch
from common import Aggregated, Copies
from monai.inferers import sliding_window_inference


class SlidingWindow:
    version = f"{monai.__version__}, torch {torch.__version__}"

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def aggregate(self, job: blending.Job, predictions: np.ndarray) -> Aggregated:
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        tensors = torch.from_numpy(predictions)
        numbers, copy = iter(range(len(job.regions()))), Copies()

        def network(_: torch.Tensor) -> torch.Tensor:
            return copy(tensors[next(numbers) % blending.DISTINCT].clone)[None]

        begun = time.perf_counter()
        volume = sliding_window_inference(
            torch.zeros(1).expand(1, 1, *job.shape),
            roi_size=job.patch,
            sw_batch_size=1,
            predictor=network,
            overlap=[o / p for o, p in zip(job.overlap, job.patch)],
            mode=self.mode,
        )
        seconds = time.perf_counter() - begun - copy.seconds
        if (left := len(list(numbers))) > 0:
            raise RuntimeError(f"MONAI's grid has {left} windows less")
        return Aggregated(volume[0].numpy(), seconds, None, len(job.regions()))


RIVALS = {f"monai-{mode}": SlidingWindow(mode) for mode in ("constant", "gaussian")}
