"""The index for sampling is plain JSON that says what numpy counts, and in nobody's way."""

import json

import nibabel as nib
import numpy as np
import pytest
import zarr
from conftest import AFFINE, convert, generation, save, stored, voxpatch

BLOCK = (32, 32, 32)
FLAGS = ["--chunk", "8x4x16", "--shard", "16x8x16"]


def blocks(frame):
    """The voxels of each block, in C order, as the volume cuts them off."""
    starts = [range(0, n, step) for n, step in zip(frame.shape, BLOCK)]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                yield frame[z : z + BLOCK[0], y : y + BLOCK[1], x : x + BLOCK[2]]


def index(volume):
    content = json.loads((generation(volume) / "0/sampling.json").read_text())["sampling"]
    manifest = json.loads((generation(volume) / "0/manifest.json").read_text())["manifest"]
    assert content["voxels"] == manifest["voxels"]
    assert content["version"] == 2 and content["block"] == list(BLOCK)
    return content


@pytest.mark.parametrize("shape", [(37, 13, 41), (37, 13, 41, 3)])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i8"])
def test_labels_are_counted_as_numpy_counts_them(tmp_path, dtype, shape):
    labels = (np.indices(shape).sum(axis=0) // 5 % 7).astype(dtype)
    scan = save(tmp_path / "scan.nii.gz", labels)
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store", *FLAGS, "--label")
    content, data = index(volume), stored(scan)
    frames = data if data.ndim == 4 else data[None]
    assert content["shape"] == list(frames.shape[1:]) and len(content["frames"]) == len(frames)
    for frame, found in zip(frames, content["frames"]):
        expected = {}
        for n, voxels in enumerate(blocks(frame)):
            for label, count in zip(*np.unique(voxels, return_counts=True)):
                expected.setdefault(int(label), []).append([n, int(count)])
        assert {c["label"]: c["blocks"] for c in found["classes"]} == expected
    np.testing.assert_array_equal(zarr.open_array(generation(volume) / "0", mode="r")[...], data)
    assert list(zarr.open_group(generation(volume), mode="r")) == ["0"]


def test_weights_are_summed_as_numpy_sums_them(tmp_path):
    voxels = np.random.default_rng(3).integers(0, 200, (37, 13, 41)).astype("u1")
    voxels[:32, :, :32] = 0
    scan = save(tmp_path / "scan.nii", voxels, slope=(0.25, 0))
    volume = convert(tmp_path / "scan.nii", tmp_path / "store", *FLAGS, "--kind", "weights")
    sums = [float((part * 0.25).sum()) for part in blocks(stored(scan).astype("f8"))]
    expected = [[n, total] for n, total in enumerate(sums) if total > 0]
    assert index(volume)["frames"] == [{"weights": expected}]
    assert 0 < len(expected) < len(sums)


def test_a_volume_without_an_index_gets_the_same_one(tmp_path):
    save(tmp_path / "scan.nii", np.arange(2000).reshape(20, 10, 10).astype("i4") // 100)
    volume = convert(tmp_path / "scan.nii", tmp_path / "store", *FLAGS, "--label")
    path = generation(volume) / "0/sampling.json"
    before = path.read_bytes()
    path.unlink()
    built = json.loads(voxpatch("index", volume, "--json").stdout)["volumes"]
    assert [v["built"] for v in built] == [True]
    assert path.read_bytes() == before
    voxpatch("verify", volume)


@pytest.mark.parametrize("dtype", ["u1", "i2"])
def test_labels_that_nibabel_scales_are_stored_as_what_nibabel_reads(tmp_path, dtype):
    labels = np.indices((37, 13, 41)).sum(axis=0) // 9 % 3
    image = nib.Nifti1Image(labels.astype("f8"), AFFINE)
    image.set_data_dtype(dtype)
    nib.save(image, tmp_path / "scan.nii.gz")
    scan = nib.load(tmp_path / "scan.nii.gz")
    assert scan.dataobj.slope != 1
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store", *FLAGS, "--label")
    found = zarr.open_array(generation(volume) / "0", mode="r")[...]
    assert found.dtype == "u1"
    np.testing.assert_array_equal(found, np.rint(scan.get_fdata()).T)
    np.testing.assert_array_equal(found, labels.T)
    content = index(volume)
    assert [c["label"] for c in content["frames"][0]["classes"]] == [0, 1, 2]
    voxpatch("export", volume, "--out", tmp_path / "out.nii.gz")
    exported = nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(exported.get_fdata(), labels)
