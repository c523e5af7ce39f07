"""MONAI: random crops of volumes that are loaded each time, or all kept in memory."""

import gc
import resource
import time
from typing import Any

import monai
import numpy as np
import torch
from monai.data import CacheDataset, DataLoader, Dataset
from monai.transforms import Compose, LoadImaged, RandSpatialCropSamplesd


def count_wrong(image: Any, volumes: dict[str, np.ndarray]) -> int:
    """Patches (x, y, z, float) that are not the voxels where their origin lies: a millimetre is a
    voxel in these files."""
    found = 0
    for patch, affine, path in zip(image, image.affine, image.meta["filename_or_obj"]):
        x, y, z = (round(float(v)) for v in affine[:3, 3])
        truth = volumes[path]
        w, h, d = patch.shape[1:]
        truth = truth[z : z + d, y : y + h, x : x + w]
        found += not np.array_equal(patch[0].numpy().T, truth)
    return found


class DatasetTrainer:
    version = f"{monai.__version__}, torch {torch.__version__}"

    def __init__(self, suffix: str, workers: int, cached: bool) -> None:
        self.suffix, self.workers, self.cached = suffix, workers, cached

    def train(self, job: dict[str, Any]) -> dict[str, Any]:
        torch.set_num_threads(job["threads"])
        paths = [path + self.suffix for path in job["paths"]]
        transform = Compose(
            [
                LoadImaged("image", image_only=True, ensure_channel_first=True),
                RandSpatialCropSamplesd(
                    "image", job["patch"][::-1], job["per_visit"], random_size=False
                ),
            ]
        )
        items = [{"image": path} for path in paths]
        begun = time.perf_counter()
        if self.cached:
            dataset = CacheDataset(items, transform, num_workers=job["threads"], progress=False)
        else:
            dataset = Dataset(items, transform)
        prepare = time.perf_counter() - begun
        loader = DataLoader(
            dataset,
            batch_size=1,
            shuffle=True,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
        )
        arrays = [np.load(path, mmap_mode="r") for path in job["arrays"]]
        volumes = dict(zip(paths, arrays))
        wrong = sum(count_wrong(batch["image"], volumes) for batch in loader)
        begun, patches = time.perf_counter(), 0
        for _ in range(job["epochs"]):
            for batch in loader:
                patches += len(batch["image"])
        seconds = time.perf_counter() - begun
        del loader
        gc.collect()
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
        return {
            "seconds": seconds,
            "patches": patches,
            "wrong": wrong,
            "prepare_s": prepare,
            "child_peak_mb": child,
        }


RIVALS = {
    f"monai-{kind}-{workers}": DatasetTrainer(suffix, workers, kind == "cached")
    for kind, suffix in [("nii", ""), ("nii.gz", ".gz"), ("cached", "")]
    for workers in (0, 2)
}
