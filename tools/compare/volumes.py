"""The volumes that are measured, written to the scratch folder."""

from pathlib import Path

import nibabel as nib
import numpy as np
from common import Scan, Triple, name_of


def phantom(shape: Triple) -> np.ndarray:
    """Nested ellipsoids with the noise of a CT, about as compressible as one."""
    random = np.random.default_rng(7)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype="f4") for n in shape), indexing="ij")
    voxels = np.full(shape, -1000, np.float32)
    for value, radii in [(40, (1.2, 0.7, 0.9)), (-850, (0.9, 0.4, 0.3)), (300, (1.2, 0.1, 0.1))]:
        inside = (z / radii[0]) ** 2 + (y / radii[1]) ** 2 + (x / radii[2]) ** 2 < 1
        voxels[inside] = value + random.normal(0, 15, np.count_nonzero(inside))
    return voxels.astype(np.int16)


def load(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The voxels as stored, z, y, x, and their spacing."""
    image = nib.load(path)
    voxels = np.asarray(image.dataobj.get_unscaled())
    if voxels.dtype != np.int16 or voxels.ndim != 3:
        raise SystemExit(
            f"{path}: {voxels.ndim} axes of {voxels.dtype}; the comparison takes one volume of "
            "16-bit signed integers: cast the scan, or give another"
        )
    return voxels.T, tuple(float(s) for s in image.header.get_zooms()[:3][::-1])


def mirrored(voxels: np.ndarray, slices: int) -> np.ndarray:
    """So many slices, mirroring the volume along z as often as needed."""
    place = np.arange(slices) % (2 * len(voxels))
    return voxels[np.where(place < len(voxels), place, 2 * len(voxels) - 1 - place)]


def write(voxels: np.ndarray, spacing: tuple[float, float, float], folder: Path) -> Scan:
    folder.mkdir(parents=True, exist_ok=True)
    scan = Scan(folder / "scan.npy", folder / "scan.nii", voxels.shape, spacing)
    np.save(scan.array, np.ascontiguousarray(voxels))
    nib.save(nib.Nifti1Image(voxels.T, np.diag([*spacing[::-1], 1.0])), scan.nifti)
    return scan


def subjects(scan: Scan, count: int, slices: int, folder: Path) -> list[Path]:
    """Parts of the scan, evenly spread along z, as `.nii` and as `.nii.gz`. Millimetres are
    voxels, so that the origin of a patch tells where it was cut."""
    folder.mkdir(parents=True, exist_ok=True)
    nib.openers.Opener.default_compresslevel = 6
    slices = min(slices, scan.shape[0])
    paths = []
    for n, start in enumerate(np.linspace(0, scan.shape[0] - slices, count, dtype=int)):
        voxels = np.ascontiguousarray(scan.voxels[start : start + slices])
        paths.append(folder / f"subject{n}.nii")
        image = nib.Nifti1Image(voxels.T, np.eye(4))
        nib.save(image, paths[-1])
        nib.save(image, f"{paths[-1]}.gz")
        np.save(paths[-1].with_suffix(".npy"), voxels)
    return paths


def describe(scan: Scan, source: str) -> dict[str, object]:
    return {"source": source, "shape": name_of(scan.shape), "mb": scan.nbytes / 1e6}
