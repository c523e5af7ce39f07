"""Real scans and odd files of other projects, where they are at hand: as nibabel reads them.

They lie outside of the repository, in `../shared/data` or where VOXPATCH_SCANS says.
"""

import os
import pathlib

import nibabel as nib
import numpy as np
import pytest
import zarr
from conftest import ROOT, generation, read, stored, voxpatch

SCANS = pathlib.Path(os.environ.get("VOXPATCH_SCANS", ROOT.parent / "shared/data"))
FOLDERS = ["ct/totalsegmentator", "mr/openms_p01", "label", "multi", "nifti_odd"]


def found(folder):
    paths = (p for p in (SCANS / folder).rglob("*") if p.name.endswith((".nii", ".nii.gz")))
    return sorted(str(p.relative_to(SCANS)) for p in paths)


def skip_if_absent():
    if not SCANS.is_dir():
        pytest.skip("no real scans here: none in ../shared/data, and VOXPATCH_SCANS is not set")


def nibabel_reads(path):
    """The voxels as nibabel has them, or None for what it or the store has no place for."""
    try:
        scan = nib.load(path)
        if isinstance(scan, nib.Cifti2Image):  # a matrix of its own kind inside NIfTI-2
            scan = nib.Nifti2Image.from_filename(path)
        data = stored(scan)
    except Exception:
        return None
    plain = data.dtype.kind in "iuf" and data.dtype.itemsize in (1, 2, 4, 8)
    half = data.dtype == np.float16
    return (scan, data) if plain and not half and 0 not in data.shape else None


def millimetres(scan):
    """The affine; nibabel leaves it in the unit of the file."""
    factor = {"meter": 1000.0, "micron": 0.001}.get(scan.header.get_xyzt_units()[0], 1.0)
    return np.diag([factor, factor, factor, 1.0]) @ scan.affine


@pytest.mark.parametrize("path", [p for folder in FOLDERS for p in found(folder)] or ["none"])
def test_a_real_scan_is_stored_as_nibabel_reads_it(tmp_path, path):
    skip_if_absent()
    args = ["convert", SCANS / path, "--out", tmp_path / "store", "--name", "case01/image"]
    expected = nibabel_reads(SCANS / path)
    if expected is None:
        done = voxpatch(*args, "--patch", "32x64x64", code=1)
        assert str(SCANS / path) in done.stderr
        return
    scan, data = expected
    voxpatch(*args, "--patch", "32x64x64")
    volume = tmp_path / "store/case01/image"
    array = zarr.open_array(generation(volume) / "0", mode="r")
    assert array.dtype == data.dtype.newbyteorder("=")
    np.testing.assert_array_equal(array[...], data)
    affine = zarr.open_group(generation(volume), mode="r").attrs["voxpatch"]["affine"]
    np.testing.assert_allclose(affine, millimetres(scan), rtol=1e-6, atol=1e-6)
    frame = data.reshape(-1, *data.shape[-3:])[0]
    patch = [volume, (-1, -2, -3), [n + 5 for n in frame.shape], tmp_path / "p.npy"]
    read(*patch, "--frame", "0,0", "--pad", "edge")
    widths = [(1, 4), (2, 3), (3, 2)]
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), np.pad(frame, widths, mode="edge"))


@pytest.mark.parametrize("path", found("label") or ["none"])
def test_a_real_label_map_is_the_same_narrowed(tmp_path, path):
    skip_if_absent()
    expected = nibabel_reads(SCANS / path)
    if expected is None:
        pytest.skip("not read by nibabel, or not stored")
    data = expected[1]
    args = ["--out", tmp_path / "store", "--name", "case01/image", "--narrow"]
    voxpatch("convert", SCANS / path, *args, "--patch", "32x64x64")
    volume = tmp_path / "store/case01/image"
    array = zarr.open_array(generation(volume) / "0", mode="r")
    whole = data.dtype.kind in "iu" or (np.isfinite(data).all() and (data == data.round()).all())
    assert array.dtype.itemsize < data.dtype.itemsize or data.dtype.itemsize == 1 or not whole
    np.testing.assert_array_equal(array[...], data)
    frame = data.reshape(-1, *data.shape[-3:])[0]
    read(volume, (0, 0, 0), frame.shape, tmp_path / "p.npy", "--frame", "0,0")
    patch = np.load(tmp_path / "p.npy")
    assert patch.dtype == data.dtype.newbyteorder("=")
    assert patch.tobytes() == frame.astype(patch.dtype).tobytes()
