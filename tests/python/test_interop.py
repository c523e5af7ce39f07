"""zarr-python and tensorstore read what the command wrote, equal to nibabel."""

import nibabel as nib
import numpy as np
import pytest
import tensorstore
import zarr
from conftest import convert, files, generation, read, save, stored, voxels

DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"]

# Shape x, y, z as nibabel has it; the layout is z, y, x.
LAYOUTS = {
    "defaults": ((19, 23, 11), []),
    "small shards": ((37, 21, 18), ["--chunk", "8x8x16", "--shard", "16x8x32", "--codec", "zstd"]),
    "one plane": ((40, 33, 1), ["--codec", "none"]),
}
CODECS = ["blosc", "blosc-lz4:1", "blosc-lz4hc:5", "blosc-zstd:3", "zstd:9", "gzip:6", "none"]


def open_tensorstore(volume):
    kvstore = {"driver": "file", "path": str(generation(volume) / "0")}
    return tensorstore.open({"driver": "zarr3", "kvstore": kvstore}).result()


def assert_read_by_others(volume, expected):
    python = zarr.open_array(generation(volume) / "0", mode="r")
    tensor = open_tensorstore(volume)
    assert python.dtype == expected.dtype.newbyteorder("=")
    assert python.shape == tensor.shape == expected.shape
    np.testing.assert_array_equal(python[...], expected)
    np.testing.assert_array_equal(tensor.read().result(), expected)
    inner = tuple(slice(n // 3, n // 3 + max(1, n // 2)) for n in expected.shape)
    np.testing.assert_array_equal(python[inner], expected[inner])
    np.testing.assert_array_equal(tensor[inner].read().result(), expected[inner])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_is_read_by_others(tmp_path, dtype, layout):
    shape, flags = LAYOUTS[layout]
    scan = save(tmp_path / "scan.nii.gz", voxels(shape, dtype))
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store", *flags)
    assert_read_by_others(volume, stored(scan))


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read_by_others(tmp_path, codec):
    scan = save(tmp_path / "scan.nii", voxels((33, 35, 34), "i2"))
    flags = ["--codec", codec, "--chunk", "16x16x16", "--shard", "32x32x32"]
    assert_read_by_others(convert(tmp_path / "scan.nii", tmp_path / "store", *flags), stored(scan))


@pytest.mark.parametrize("value", [0, 7])
def test_a_volume_of_one_value_is_read_by_others(tmp_path, value):
    scan = save(tmp_path / "scan.nii.gz", np.full((20, 30, 40), value, "i2"))
    assert_read_by_others(convert(tmp_path / "scan.nii.gz", tmp_path / "store"), stored(scan))


@pytest.mark.parametrize("shape", [(9, 8, 7, 3), (9, 8, 7, 1, 2), (9, 8, 7, 3, 2), (9, 8)])
def test_time_and_channels_come_before_space(tmp_path, shape):
    scan = save(tmp_path / "scan.nii", voxels(shape, "i2"))
    assert_read_by_others(convert(tmp_path / "scan.nii", tmp_path / "store"), stored(scan))


@pytest.mark.parametrize("dtype, ends, narrow", [
    ("f4", (-1024, 3071), "i2"), ("f8", (0, 70000), "u4"), ("i4", (0, 255), "u1"),
    ("i8", (-128, 127), "i1"), ("f4", (0, 2**24 + 2), "f4"),
])  # fmt: skip
def test_narrowed_voxels_are_the_same_numbers_to_others(tmp_path, dtype, ends, narrow):
    data = np.random.default_rng(1).integers(*ends, (19, 23, 11), endpoint=True).astype(dtype)
    data.flat[:2] = ends
    scan = save(tmp_path / "scan.nii.gz", data)
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store", "--narrow")
    assert_read_by_others(volume, stored(scan).astype(narrow))
    read(volume, (-2, 3, 4), (9, 8, 7), tmp_path / "patch.npy", "--pad", "edge")
    patch = np.load(tmp_path / "patch.npy")
    assert patch.dtype == dtype
    expected = np.pad(stored(scan), ((2, 0), (0, 0), (0, 0)), "edge")[:9, 3:11, 4:11]
    np.testing.assert_array_equal(patch, expected)


def test_byte_order_and_nifti_2_make_no_difference(tmp_path):
    data = voxels((12, 13, 14), "i2")
    big = nib.Nifti1Image(data, np.eye(4), nib.Nifti1Header(endianness=">"), dtype="i2")
    nib.save(big, tmp_path / "big.nii")
    save(tmp_path / "two.nii.gz", data, image=nib.Nifti2Image)
    for name in ["big.nii", "two.nii.gz"]:
        volume = convert(tmp_path / name, tmp_path / "store", name=f"{name[:3]}/image")
        assert_read_by_others(volume, data.T)


def test_threads_do_not_change_a_byte(tmp_path):
    save(tmp_path / "scan.nii", voxels((40, 41, 42), "i2"))
    flags = ["--chunk", "8x8x8", "--shard", "16x16x16", "--threads"]
    stores = {n: convert(tmp_path / "scan.nii", tmp_path / f"{n}", *flags, n) for n in (1, 4)}
    assert files(stores[1] / "0") == files(stores[4] / "0")
