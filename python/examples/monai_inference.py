"""MONAI's sliding window inference, before and after.

    python monai_inference.py scans.zarr
"""

import sys

import numpy as np
import phantom
import torch
import voxpatch
from monai.inferers import sliding_window_inference
from voxpatch import monai

WINDOWS = {"roi_size": (16, 32, 32), "sw_batch_size": 4, "overlap": 0.25, "mode": "gaussian"}


def before(ct, net):
    """The volume and the scores of all classes are in memory."""
    image = torch.from_numpy(ct.read((0, 0, 0), ct.shape, scaled=True))[None, None]
    with torch.no_grad():
        return sliding_window_inference(image, predictor=net, **WINDOWS)[0].argmax(0).numpy()


def after(ct, net):
    """Neither is: windows are read, and classes are written, chunk by chunk."""
    out = voxpatch.Output(f"{ct.subject}/classes", "argmax")
    return monai.sliding_window_inference(ct, predictor=net, out=out, **WINDOWS)


def main(store):
    torch.manual_seed(0)
    ct = phantom.make(store, 1)["case0/ct"]
    net = torch.nn.Conv3d(1, 3, 3, padding=1)
    same = np.asarray(after(ct, net)) == before(ct, net)
    print(f"{same.mean():.4%} of the voxels have the same class")
    return same.mean()


if __name__ == "__main__":
    main(sys.argv[1])
