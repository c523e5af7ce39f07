"""MLArray: Blosc2 with chunks by a rule of its own, told the patch."""

from importlib.metadata import version
from pathlib import Path

import blosc2
from common import Reader, Scan, Triple
from mlarray import MLArray

blosc2.set_nthreads(1)


class Mla:
    version = version("mlarray")

    def write(self, scan: Scan, patch: Triple, folder: Path) -> None:
        MLArray(scan.voxels[:], spacing=scan.spacing, patch_size=patch).save(folder / "scan.mla")

    def open(self, folder: Path) -> Reader:
        array = MLArray.open(folder / "scan.mla")
        return lambda region: array[region.slices]


RIVALS = {"mlarray": Mla()}
