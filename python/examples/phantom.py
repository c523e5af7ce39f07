"""Synthetic chests with lesions, for the examples: a store of scans and label maps."""

import numpy as np
import voxpatch

SHAPE = (48, 64, 72)
SPACING = (2.0, 1.0, 1.0)


def chest(seed):
    """A scan in Hounsfield units, and its lesions."""
    random = np.random.default_rng(seed)
    z, y, x = np.ogrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    body = (y / 0.9) ** 2 + (x / 0.95) ** 2 + 0 * z < 1
    lungs = ((np.abs(x) - 0.45) / 0.35) ** 2 + (y / 0.6) ** 2 + (z / 0.95) ** 2 < 1
    scan = np.where(lungs, -800, np.where(body, 40, -1000)).astype("float32")
    lesions = np.zeros(SHAPE, "uint8")
    for _ in range(3):
        centre = random.uniform((-0.6, -0.3, -0.6), (0.6, 0.3, 0.6))
        radius = random.uniform(0.1, 0.25)
        squares = [(a - c) ** 2 for a, c in zip((z, y, x), centre, strict=True)]
        lesions |= ((sum(squares) < radius**2) & lungs).astype("uint8")
    scan[lesions > 0] = 300
    scan += random.normal(0, 20, SHAPE)
    return scan.round().astype("int16"), lesions


def make(store, subjects=4):
    """Converts some subjects, and opens the store."""
    for n in range(subjects):
        scan, lesions = chest(n)
        options = {"patch": (16, 32, 32), "spacing": SPACING, "progress": False}
        voxpatch.convert(scan, store, f"case{n}/ct", **options)
        voxpatch.convert(lesions, store, f"case{n}/lesion", kind="label", **options)
    return voxpatch.open(store)
