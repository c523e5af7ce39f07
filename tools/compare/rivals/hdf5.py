"""HDF5 with Blosc-compressed chunks, through h5py."""

from pathlib import Path

import h5py
import hdf5plugin
from common import Reader, Scan, Triple, clipped, small_chunk


class Hdf5:
    version = f"{h5py.__version__}, hdf5plugin {hdf5plugin.version}"

    def write(self, scan: Scan, patch: Triple, folder: Path) -> None:
        with h5py.File(folder / "scan.h5", "w") as file:
            file.create_dataset(
                "scan",
                data=scan.voxels,
                chunks=small_chunk(clipped(patch, scan.shape), 32**3),
                **hdf5plugin.Blosc("zstd", 3, hdf5plugin.Blosc.SHUFFLE),
            )

    def open(self, folder: Path) -> Reader:
        array = h5py.File(folder / "scan.h5", "r")["scan"]
        return lambda region: array[region.slices]


RIVALS = {"h5py": Hdf5()}
