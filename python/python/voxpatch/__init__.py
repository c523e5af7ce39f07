"""Patches of 3D medical scans, read straight from compressed out-of-core storage.

A scan is converted once, into a compressed, sharded Zarr v3 array whose chunks suit the patches
that will be read. From then on any cuboid of it is a query:

>>> import voxpatch
>>> _ = voxpatch.convert("ct.nii.gz", "scans.zarr", "case01/ct", patch=(32, 64, 64))
>>> ct = voxpatch.open("scans.zarr")["case01/ct"]
>>> ct[10:42, 100:164, :64].shape
(32, 64, 64)
>>> ct.read((-4, 0, 0), (32, 64, 64), pad=-1024, scaled=True).dtype
dtype('float32')

Starts, shapes, spacings and arrays are in ``z, y, x`` order, or in ``x, y, z`` order of a store that
was opened with ``axes="xyz"``. Exceptions are in :mod:`voxpatch.errors`. The adapters for other
libraries, such as :mod:`voxpatch.torch`, are imported by themselves.
"""

import sys
from typing import TYPE_CHECKING, Any

if "t" in sys.abiflags:
    raise ImportError("voxpatch is not for free-threaded builds of Python yet: use a standard one")

from voxpatch import errors
from voxpatch._bench import bench
from voxpatch._convert import convert, export, plan
from voxpatch._dataset import Dataset, Subject, create, open
from voxpatch._voxpatch import Normalise, Volume, __version__
from voxpatch.errors import VoxpatchError

if TYPE_CHECKING:
    from voxpatch._aggregate import Aggregator, Output, finalise, predict
    from voxpatch._sample import (
        ForegroundSampler,
        GridSampler,
        LabelSampler,
        UniformSampler,
        WeightedSampler,
    )
    from voxpatch._stream import Batch, Patch, PatchStream

# Imported when they are used, because they import numpy.
_LATER = {
    "Aggregator": "_aggregate",
    "Output": "_aggregate",
    "finalise": "_aggregate",
    "predict": "_aggregate",
    "ForegroundSampler": "_sample",
    "GridSampler": "_sample",
    "LabelSampler": "_sample",
    "UniformSampler": "_sample",
    "WeightedSampler": "_sample",
    "Batch": "_stream",
    "Patch": "_stream",
    "PatchStream": "_stream",
}

__all__ = [
    "Aggregator",
    "Batch",
    "Dataset",
    "ForegroundSampler",
    "GridSampler",
    "LabelSampler",
    "Normalise",
    "Output",
    "Patch",
    "PatchStream",
    "Subject",
    "UniformSampler",
    "Volume",
    "VoxpatchError",
    "WeightedSampler",
    "__version__",
    "bench",
    "convert",
    "create",
    "errors",
    "export",
    "finalise",
    "open",
    "plan",
    "predict",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f"voxpatch.{_LATER[name]}"), name)
    raise AttributeError(f"module 'voxpatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
