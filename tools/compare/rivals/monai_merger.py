"""MONAI: ZarrAvgMerger, which adds to compressed arrays on disk, in chunks of the step between
patches and one channel. Heeds the limit: it gives up then and tells how far it got."""

import time

import blending
import monai
import numpy as np
import torch
import zarr
from common import Aggregated, stored_bytes
from monai.inferers.merger import ZarrAvgMerger


class Merger:
    version = f"{monai.__version__}, zarr {zarr.__version__}"

    def aggregate(self, job: blending.Job, predictions: np.ndarray) -> Aggregated:
        torch.set_num_threads(1)
        tensors, regions = torch.from_numpy(predictions), job.regions()
        begun = time.perf_counter()
        stores = {
            key: str(job.folder / f"{key}.zarr") for key in ("store", "value_store", "count_store")
        }
        shape = (1, job.channels, *job.shape)
        merger = ZarrAvgMerger(shape, chunks=(1, 1, *job.step), **stores)
        for number, region in enumerate(regions):
            merger.aggregate(tensors[number % blending.DISTINCT][None], region.start)
            if time.perf_counter() - begun > job.limit:
                return Aggregated(None, time.perf_counter() - begun, None, number + 1)
        added = time.perf_counter()
        volume = merger.finalize()
        finishing = time.perf_counter() - added
        stored = stored_bytes(job.folder / "store.zarr")
        return Aggregated(Squeezed(volume), added - begun, finishing, len(regions), stored)


class Squeezed:
    """Without the axis of the batch; read when it is looked at."""

    def __init__(self, volume: zarr.Array) -> None:
        self.volume, self.shape = volume, volume.shape[1:]

    def __getitem__(self, at: tuple[slice, slice]) -> np.ndarray:
        return self.volume[(0, *at)]


RIVALS = {"monai-zarr": Merger()}
