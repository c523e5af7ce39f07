"""medh5: HDF5 with Blosc2 chunks by a rule of its own, told the patch; two of its profiles."""

from importlib.metadata import version
from pathlib import Path

import medh5
import numpy as np
from common import Reader, Scan, Triple


class MedH5:
    version = version("medh5")

    def __init__(self, profile: str) -> None:
        self.profile = profile

    def write(self, scan: Scan, patch: Triple, folder: Path) -> None:
        path = folder / "scan.medh5"
        with medh5.create(path, subject_id="scan", codec=self.profile) as sample:
            sample.add_timepoint("tp0", label="baseline", days_from_baseline=0)
            sample.add_grid(
                "grid", shape=scan.shape, spacing=scan.spacing, timepoint="tp0", patch_hint=patch
            )
            voxels = np.ascontiguousarray(scan.voxels)
            sample.add_image("image", voxels, grid="grid", modality="CT")

    def open(self, folder: Path) -> Reader:
        sample = medh5.open(folder / "scan.medh5")
        image = sample.images["image"]
        return lambda region: image.read(region.slices)


RIVALS = {f"medh5-{profile}": MedH5(profile) for profile in ("training", "balanced")}
