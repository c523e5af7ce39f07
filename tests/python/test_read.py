"""`read` is slicing, and numpy.pad outside of the volume."""

import nibabel as nib
import numpy as np
import pytest
from conftest import convert, read, save, stored, voxels

SHAPE = (6, 7, 5)  # x, y, z
WIDTH = 24  # of the reference padding, on every side: several times the volume
LAYOUT = ["--chunk", "2x4x4", "--shard", "4x4x8"]

# Start and shape, z, y, x: inside, over a corner, over both ends, and wholly outside.
REGIONS = [
    ((1, 2, 1), (3, 4, 5)),
    ((-2, -1, -3), (4, 5, 6)),
    ((-7, -9, -8), (20, 24, 22)),
    ((3, 5, 4), (9, 9, 9)),
    ((-20, 1, 1), (6, 3, 3)),
    ((2, 11, -19), (2, 4, 5)),
]
MODES = {
    "constant": {"mode": "constant"},
    "constant:-1000": {"mode": "constant", "constant_values": -1000},
    "edge": {"mode": "edge"},
    "reflect": {"mode": "reflect"},
    "symmetric": {"mode": "symmetric"},
    "wrap": {"mode": "wrap"},
}


def cut(data, start, shape):
    return data[tuple(slice(s, s + n) for s, n in zip(start, shape))]


def padded(data, start, shape, **mode):
    """The region from the volume padded on all sides by NumPy."""
    return cut(np.pad(data, WIDTH, **mode), [s + WIDTH for s in start], shape)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    scan = save(folder / "scan.nii.gz", voxels(SHAPE, "i2"))
    return convert(folder / "scan.nii.gz", folder / "store", *LAYOUT), scan


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("start, shape", REGIONS)
def test_padding_is_that_of_numpy(small, tmp_path, mode, start, shape):
    volume, scan = small
    read(volume, start, shape, tmp_path / "patch.npy", "--pad", mode)
    patch = np.load(tmp_path / "patch.npy")
    assert patch.dtype == np.int16 and patch.flags.c_contiguous
    np.testing.assert_array_equal(patch, padded(stored(scan), start, shape, **MODES[mode]))


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_an_axis_of_one_voxel_pads_as_in_numpy(tmp_path, mode):
    scan = save(tmp_path / "scan.nii", voxels((5, 4, 1), "u1"))
    volume = convert(tmp_path / "scan.nii", tmp_path / "store")
    read(volume, (-3, -2, -6), (7, 9, 13), tmp_path / "patch.npy", "--pad", mode)
    expected = padded(stored(scan), (-3, -2, -6), (7, 9, 13), mode=mode)
    np.testing.assert_array_equal(np.load(tmp_path / "patch.npy"), expected)


@pytest.mark.parametrize("dtype", ["u1", "u8", "i4", "i8", "f4", "f8"])
def test_every_type_is_sliced_as_stored(tmp_path, dtype):
    scan = save(tmp_path / "scan.nii", voxels((20, 21, 22), dtype))
    volume = convert(tmp_path / "scan.nii", tmp_path / "store", *LAYOUT)
    read(volume, (3, 5, 1), (17, 9, 18), tmp_path / "patch.npy")
    patch, expected = np.load(tmp_path / "patch.npy"), cut(stored(scan), (3, 5, 1), (17, 9, 18))
    assert patch.dtype == expected.dtype
    np.testing.assert_array_equal(patch, expected)


@pytest.mark.parametrize("start, shape", REGIONS)
def test_without_padding_the_outside_is_an_error(small, tmp_path, start, shape):
    volume, scan = small
    inside = all(s >= 0 and s + n <= m for s, n, m in zip(start, shape, stored(scan).shape))
    read(volume, start, shape, tmp_path / "patch.npy", code=0 if inside else 1)
    assert (tmp_path / "patch.npy").exists() == inside


@pytest.mark.parametrize("start, shape", REGIONS[:3])
def test_a_nifti_patch_lies_where_it_was_cut(small, tmp_path, start, shape):
    volume, scan = small
    read(volume, start, shape, tmp_path / "patch.nii.gz", "--pad", "edge")
    patch = nib.load(tmp_path / "patch.nii.gz")
    if min(start) >= 0:
        z, y, x = (slice(s, s + n) for s, n in zip(start, shape))
        expected = scan.slicer[x, y, z].affine
    else:  # nibabel does not slice outside: the first voxel's place, by the whole affine
        expected = scan.affine.copy()
        expected[:3, 3] = nib.affines.apply_affine(scan.affine, start[::-1])
    np.testing.assert_allclose(patch.affine, expected, rtol=1e-6, atol=1e-5)
    data = padded(stored(scan), start, shape, mode="edge")
    assert patch.get_data_dtype() == np.int16
    np.testing.assert_array_equal(stored(patch), data)


@pytest.mark.parametrize("codes", [(0, 4), (1, 3), (2, 0)])
def test_a_nifti_patch_keeps_the_name_of_its_coordinates(tmp_path, codes):
    def edit(scan):
        scan.set_qform(scan.affine if codes[0] else None, codes[0], strip_shears=True)
        scan.set_sform(scan.affine if codes[1] else None, codes[1])

    save(tmp_path / "scan.nii.gz", voxels(SHAPE, "i2"), edit=edit)
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store")
    read(volume, (1, 2, 1), (3, 4, 5), tmp_path / "patch.nii.gz")
    patch = nib.load(tmp_path / "patch.nii.gz")
    assert patch.header["sform_code"] == (codes[1] or codes[0])


@pytest.mark.parametrize("slope", [(2.5, -1024.0), (1.0, -1024.0), (0.00152590219, 0.0)])
def test_scaled_voxels_are_those_of_nibabel(tmp_path, slope):
    data = np.random.default_rng(1).integers(-2000, 30000, SHAPE, "i2")
    scan = save(tmp_path / "scan.nii.gz", data, slope=slope)
    np.testing.assert_array_equal(stored(scan), data.T)
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store")
    read(volume, (0, 1, 2), (5, 6, 3), tmp_path / "patch.npy", "--scaled")
    patch, expected = np.load(tmp_path / "patch.npy"), cut(scan.get_fdata().T, (0, 1, 2), (5, 6, 3))
    assert patch.dtype == np.float32
    rounding = np.abs(expected - slope[1]).max() + abs(slope[1])
    np.testing.assert_allclose(patch, expected, rtol=0, atol=rounding * 2**-23)


def test_frames_are_times_and_channels(tmp_path):
    scan = save(tmp_path / "scan.nii.gz", voxels((9, 8, 7, 3, 2), "i2"))
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store", *LAYOUT)
    for time in range(3):
        for channel in range(2):
            frame = ["--frame", f"{time},{channel}"]
            read(volume, (1, 2, 3), (5, 4, 6), tmp_path / "patch.npy", *frame)
            expected = cut(stored(scan)[time, channel], (1, 2, 3), (5, 4, 6))
            np.testing.assert_array_equal(np.load(tmp_path / "patch.npy"), expected)
    read(volume, (1, 2, 3), (5, 4, 6), tmp_path / "all.npy", "--frames", "all")
    expected = [cut(frame, (1, 2, 3), (5, 4, 6)) for time in stored(scan) for frame in time]
    np.testing.assert_array_equal(np.load(tmp_path / "all.npy"), np.stack(expected))
    read(volume, (0, 0, 0), (1, 1, 1), tmp_path / "none.npy", "--frame", "3,0", code=1)
    # Of several frames none is meant unless it is named.
    told = read(volume, (0, 0, 0), (1, 1, 1), tmp_path / "none.npy", code=1)
    assert "3 time points" in told.stderr and "--frame" in told.stderr
    assert not (tmp_path / "none.npy").exists()


def test_weightings_in_the_fourth_axis_are_channels_and_its_fourth_axis_again(tmp_path):
    scan = save(tmp_path / "scan.nii.gz", voxels((9, 8, 7, 4), "i2"))
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store", "--fourth-axis", "channels")
    read(volume, (0, 0, 0), (7, 8, 9), tmp_path / "all.npy", "--frames", "0")
    np.testing.assert_array_equal(np.load(tmp_path / "all.npy"), stored(scan))
