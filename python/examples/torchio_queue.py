"""TorchIO's Queue, before and after: two lines differ.

    python torchio_queue.py scans.zarr
"""

import sys

import phantom
import torchio as tio
import voxpatch
from voxpatch.torchio import subject

PATCH = (32, 32, 16)  # x, y, z, as TorchIO has them


def before(folder, names):
    """Each subject is decoded as a whole when the queue comes to it."""
    return [
        tio.Subject(
            ct=tio.ScalarImage(f"{folder}/{name}_ct.nii.gz"),
            lesion=tio.LabelMap(f"{folder}/{name}_lesion.nii.gz"),
        )
        for name in names
    ]


def after(store):
    """Patches alone are read."""
    dataset = voxpatch.open(store)
    return [subject(dataset[name], ["ct", "lesion"]) for name in dataset]


def batches(subjects):
    queue = tio.Queue(
        tio.SubjectsDataset(subjects),
        max_length=16,
        samples_per_volume=4,
        sampler=tio.UniformSampler(PATCH),
        num_workers=0,
    )
    return tio.SubjectsLoader(queue, batch_size=4)


def main(store):
    phantom.make(store)
    count = 0
    for batch in batches(after(store)):
        ct, lesion = batch["ct"][tio.DATA], batch["lesion"][tio.DATA]
        print(tuple(ct.shape), f"lesion {lesion.float().mean():.4f}")
        count += len(ct)
    return count


if __name__ == "__main__":
    main(sys.argv[1])
