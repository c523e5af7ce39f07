"""Small NIfTI-1 files, written without a library for them."""

import struct

import numpy as np

CODES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64, "int8": 256, "uint16": 512}


def write_nifti(path, array, spacing=(3.0, 0.7, 0.6), slope=0.0, intercept=0.0, affine=None):
    """Writes an array of axes z, y, x, or c, z, y, x (then channels are the fourth axis)."""
    dims = array.shape[::-1]
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(dims), *dims, *[1] * (7 - len(dims)))
    struct.pack_into("<hh", header, 70, CODES[array.dtype.name], array.dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, 1.0, *spacing[::-1], *[1.0] * 4)
    struct.pack_into("<fff", header, 108, 352.0, slope, intercept)
    header[123] = 2  # millimetres
    if affine is None:
        affine = np.diag([*spacing[::-1], 1.0])
    struct.pack_into("<h", header, 254, 1)
    struct.pack_into("<12f", header, 280, *np.asarray(affine)[:3].ravel())
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + np.ascontiguousarray(array).tobytes())
    return path
