"""medrs: windows of uncompressed NIfTI files, in Rust."""

import shutil
import sys
from pathlib import Path

from common import Reader, Scan, Triple

# It would import them where they are installed: seconds, and memory, that reading does not need.
sys.modules["torch"] = sys.modules["monai"] = None
import medrs  # noqa: E402


class Medrs:
    version = medrs.__version__

    def write(self, scan: Scan, patch: Triple, folder: Path) -> None:
        shutil.copyfile(scan.nifti, folder / "scan.nii")

    def open(self, folder: Path) -> Reader:
        path = str(folder / "scan.nii")

        def read(region):
            image = medrs.load_cropped(path, region.start[::-1], region.shape[::-1])
            # The type of the file, not float32: half the bytes to write.
            return image.to_numpy_native().T

        return read


RIVALS = {"medrs": Medrs()}
