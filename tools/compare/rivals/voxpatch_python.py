"""voxpatch from Python: the same stores as `voxpatch_store`, read by the package (`pip install
./python`)."""

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import voxpatch
from common import Reader, stored_bytes
from rivals.voxpatch_store import Voxpatch


class FromPython(Voxpatch):
    version = voxpatch.__version__

    def open(self, folder: Path) -> Reader:
        volume = voxpatch.open(folder)["scan/image"]
        return lambda region: volume.read(region.start, region.shape)


def count_wrong(batch: dict[str, Any], volumes: dict[str, np.ndarray], patch: list[int]) -> int:
    """Patches that are not the voxels where they say they were cut."""
    found = 0
    for voxels, subject, start in zip(batch["image"], batch["subject"], batch["start"].tolist()):
        region = tuple(slice(s, s + n) for s, n in zip(start, patch))
        found += not np.array_equal(voxels[0].numpy(), volumes[subject][region])
    return found


class Trainer(FromPython):
    """A store of the job's subjects, and what is trained from it."""

    def train(self, job: dict[str, Any]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=Path(job["paths"][0]).parent) as folder:
            names = [f"subject{n}" for n in range(len(job["paths"]))]
            images = [f"{name}/image" for name in names]
            self.write_subjects({**job, "volumes": images, "folder": f"{folder}/store"})
            result = self.train_from(voxpatch.open(f"{folder}/store"), job)
            stored = stored_bytes(Path(folder) / "store")
        return {**result, "stored_mb": stored / 1e6}

    def train_from(self, dataset: voxpatch.Dataset, job: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError


class LoaderTrainer(Trainer):
    """`voxpatch.torch.PatchLoader`, engine threads in place of worker processes."""

    def train_from(self, dataset: voxpatch.Dataset, job: dict[str, Any]) -> dict[str, Any]:
        from voxpatch.torch import PatchLoader

        def loader(per_visit: int) -> Any:
            return PatchLoader(
                dataset,
                voxpatch.UniformSampler(job["patch"]),
                {"image": {"dtype": "float32"}},
                job["batch"],
                workers=job["threads"],
                patches_per_visit=per_visit,
            )

        arrays = [np.load(path, mmap_mode="r") for path in job["arrays"]]
        volumes = dict(zip(dataset, arrays))
        checked = loader(job["per_visit"])
        wrong = sum(count_wrong(batch, volumes, job["patch"]) for batch in checked)
        # A pass must take a while.
        timed = loader(job["per_visit"] * job["epochs"] * 10)
        begun, patches = time.perf_counter(), 0
        for batch in timed:
            patches += len(batch["image"])
        seconds = time.perf_counter() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
        return {"seconds": seconds, "patches": patches, "wrong": wrong, "child_peak_mb": peak}


class LazyQueueTrainer(Trainer):
    """TorchIO's own queue over subjects whose images stay in the store."""

    def __init__(self, codec: str, workers: int) -> None:
        super().__init__(codec)
        self.workers = workers

    def train_from(self, dataset: voxpatch.Dataset, job: dict[str, Any]) -> dict[str, Any]:
        import torchio as tio
        from rivals.torchio_queue import through_queue
        from voxpatch.torchio import subject

        subjects = [
            tio.Subject({**subject(dataset[name]), "number": n}) for n, name in enumerate(dataset)
        ]
        return through_queue(subjects, self.workers, job)


RIVALS = {
    f"python-{codec}": FromPython(codec) for codec in ("default", "packed:8", "packed:1")
} | {f"loader-{codec}": LoaderTrainer(codec) for codec in ("default", "packed:1")} | {
    f"queue-{codec}-{workers}": LazyQueueTrainer(codec, workers)
    for codec in ("default", "packed:1")
    for workers in (0, 2)
}
