"""Volumes are OME-Zarr 0.5 images, by its validator and by the rules that the validator misses."""

import json
import pathlib
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from conftest import AFFINE, convert, generation, save, voxels

# The anatomical values of RFC-4.
ORIENTATIONS = {
    f"{a}-to-{b}"
    for one, other in [
        ("left", "right"), ("anterior", "posterior"), ("inferior", "superior"),
        ("dorsal", "ventral"), ("dorsal", "palmar"), ("dorsal", "plantar"),
        ("rostral", "caudal"), ("cranial", "caudal"), ("proximal", "distal"),
    ]
    for a, b in [(one, other), (other, one)]
}  # fmt: skip
TOWARDS = {
    "R": "left-to-right", "L": "right-to-left",
    "A": "posterior-to-anterior", "P": "anterior-to-posterior",
    "S": "inferior-to-superior", "I": "superior-to-inferior",
}  # fmt: skip
TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}

SHAPES = {
    "zyx": (9, 8, 7), "tzyx": (9, 8, 7, 3), "czyx": (9, 8, 7, 1, 2), "tczyx": (9, 8, 7, 3, 2),
}  # fmt: skip


def validate(volume):
    """The validator's own command."""
    command = pathlib.Path(sys.executable).with_name("ome-zarr-models")
    done = subprocess.run([command, "validate", volume], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def node(folder):
    return json.loads((folder / "zarr.json").read_text())


def assert_rules(volume, axes, affine):
    group, made = node(volume), generation(volume)
    array = node(made / "0")
    ome = group["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (image,) = ome["multiscales"]
    assert "".join(axis["name"] for axis in image["axes"]) == axes
    assert [axis["type"] for axis in image["axes"]] == [TYPES[name] for name in axes]
    assert array["dimension_names"] == list(axes)
    codes = dict(zip("xyz", nib.aff2axcodes(affine)))
    for axis in image["axes"]:
        if axis["type"] == "space":
            assert axis["unit"] == "millimeter"
            assert axis["orientation"]["type"] == "anatomical"
            assert axis["orientation"]["value"] in ORIENTATIONS
            assert axis["orientation"]["value"] == TOWARDS[codes[axis["name"]]]
    for dataset in image["datasets"]:
        assert_transforms(dataset["coordinateTransformations"], axes, affine)
    assert image["datasets"][0]["path"] == f"{made.name}/0"
    np.testing.assert_array_equal(node(made)["attributes"]["voxpatch"]["affine"], affine)


def assert_transforms(transforms, axes, affine):
    kinds = [transform["type"] for transform in transforms]
    assert kinds in (["scale"], ["scale", "translation"])
    for transform in transforms:
        numbers = transform[transform["type"]]
        assert len(numbers) == len(axes) and np.isfinite(numbers).all()
    scale = transforms[0]["scale"]
    assert min(scale) > 0
    np.testing.assert_allclose(scale[-3:], nib.affines.voxel_sizes(affine)[::-1], rtol=1e-6)


@pytest.mark.parametrize("axes", SHAPES)
def test_intensities_are_valid(tmp_path, axes):
    scan = save(tmp_path / "scan.nii.gz", voxels(SHAPES[axes], "i2"))
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store")
    validate(volume)
    assert_rules(volume, axes, scan.affine)


def test_labels_are_valid(tmp_path):
    labels = np.arange(9 * 8 * 7).reshape(9, 8, 7) % 5
    scan = save(tmp_path / "scan.nii.gz", labels.astype("u1"))
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store", "--label", name="case01/organs")
    validate(volume)
    assert_rules(volume, "zyx", scan.affine)


@pytest.mark.parametrize("flip", ["x", "y", "z", "xz", "swap"])
def test_orientation_follows_the_affine(tmp_path, flip):
    affine = AFFINE.copy()
    if flip == "swap":
        affine[:, [0, 2]] = affine[:, [2, 0]]
    else:
        affine[:3, ["xyz".index(axis) for axis in flip]] *= -1
    scan = save(tmp_path / "scan.nii", voxels((9, 8, 7), "i2"), affine)
    assert_rules(convert(tmp_path / "scan.nii", tmp_path / "store"), "zyx", scan.affine)


def test_store_and_subject_are_groups(tmp_path):
    save(tmp_path / "scan.nii", voxels((9, 8, 7), "i2"))
    convert(tmp_path / "scan.nii", tmp_path / "store")
    for folder in ["store", "store/case01", "store/case01/image"]:
        assert node(tmp_path / folder)["node_type"] == "group"
        assert node(tmp_path / folder)["zarr_format"] == 3
    json.loads((generation(tmp_path / "store/case01/image") / "0/manifest.json").read_text())
