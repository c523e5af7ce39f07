"""TorchIO: whole subjects into a queue of patches."""

import resource
import time
from typing import Any

import numpy as np
import torch
import torchio as tio


def count_wrong(batch: dict[str, Any], volumes: list[np.ndarray]) -> int:
    """Patches (x, y, z, float) that are not the voxels where they say they were cut."""
    found = 0
    for patch, place, number in zip(batch["image"]["data"], batch["location"], batch["number"]):
        x, y, z, to_x, to_y, to_z = map(int, place)
        truth = volumes[int(number)][z:to_z, y:to_y, x:to_x]
        found += not np.array_equal(patch[0].numpy().T, truth)
    return found


def through_queue(
    subjects: list[tio.Subject], workers: int, job: dict[str, Any]
) -> dict[str, Any]:
    """Patches of subjects, each with its `number`, through TorchIO's queue."""
    torch.set_num_threads(job["threads"])
    queue = tio.Queue(
        tio.SubjectsDataset(subjects),
        max_length=job["per_visit"] * len(subjects),
        samples_per_volume=job["per_visit"],
        sampler=tio.UniformSampler(job["patch"][::-1]),
        num_workers=workers,
    )
    loader = tio.SubjectsLoader(queue, batch_size=job["batch"])
    volumes = [np.load(path, mmap_mode="r") for path in job["arrays"]]
    wrong = sum(count_wrong(batch, volumes) for batch in loader)
    begun, patches = time.perf_counter(), 0
    for _ in range(job["epochs"]):
        for batch in loader:
            patches += len(batch["image"]["data"].float())
    seconds = time.perf_counter() - begun
    del loader, queue
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    return {"seconds": seconds, "patches": patches, "wrong": wrong, "child_peak_mb": child}


class QueueTrainer:
    version = f"{tio.__version__}, torch {torch.__version__}"

    def __init__(self, suffix: str, workers: int) -> None:
        self.suffix, self.workers = suffix, workers

    def train(self, job: dict[str, Any]) -> dict[str, Any]:
        subjects = [
            tio.Subject(image=tio.ScalarImage(path + self.suffix), number=n)
            for n, path in enumerate(job["paths"])
        ]
        return through_queue(subjects, self.workers, job)


RIVALS = {
    f"torchio-{kind}-{workers}": QueueTrainer(suffix, workers)
    for kind, suffix in [("nii", ""), ("nii.gz", ".gz")]
    for workers in (0, 2)
}
