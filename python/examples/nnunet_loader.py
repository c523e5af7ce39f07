"""nnU-Net's data loader, fed from a store instead of blosc2 files: one import and one conversion.

    python nnunet_loader.py folder
"""

import sys
from pathlib import Path

import numpy as np
import phantom
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class, nnUNetDatasetBlosc2
from voxpatch import nnunet

PATCH = (16, 32, 32)


class LabelManager:
    """What the loader asks of nnU-Net's own."""

    all_labels = [1]
    has_ignore_label = False


def preprocess(folder):
    """Two cases as nnU-Net's preprocessing leaves them."""
    Path(folder).mkdir(parents=True)
    for n in range(2):
        scan, lesions = phantom.chest(n)
        data, seg = (scan[None] / 400).astype("float32"), lesions[None].astype("int8")
        properties = {"class_locations": {1: np.argwhere(seg == 1)}}
        shapes = {"chunks": (1, *PATCH), "blocks": (1, 8, 16, 16)}
        nnUNetDatasetBlosc2.save_case(data, seg, properties, f"{folder}/case{n}", **shapes)


def batches(folder, count=4):
    """The same code for both: nnU-Net finds out what a folder holds."""
    dataset = infer_dataset_class(folder)(folder)
    np.random.seed(1)
    loader = nnUNetDataLoader(dataset, 2, PATCH, PATCH, LabelManager, 0.33)
    return [loader.generate_train_batch() for _ in range(count)]


def main(folder):
    before, after = f"{folder}/blosc2", f"{folder}/voxpatch"
    preprocess(before)
    nnunet.convert(before, after, patch=PATCH)
    pairs = list(zip(batches(before), batches(after), strict=True))
    same = all((a["data"] == b["data"]).all() for a, b in pairs)
    print(f"{len(pairs)} batches, {'the same' if same else 'different'}")
    return same


if __name__ == "__main__":
    main(sys.argv[1])
