"""The Python of both READMEs runs, from top to bottom."""

import importlib.util
import pathlib
import re

import numpy as np
import pytest
import voxpatch

ROOT = pathlib.Path(__file__).parents[2]


def blocks(path):
    """Each block with the library that it needs, if any."""
    return re.findall(r"```py(?: (\w+))?\n(.*?)```", (ROOT / path).read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_of_the_package(folder):
    names = {}
    for needs, code in blocks("python/README.md"):
        if needs and importlib.util.find_spec(needs) is None:
            continue
        exec(compile(code, "README", "exec"), names)
    volumes = ["case01/ct", "case01/organs"]
    if importlib.util.find_spec("torch"):
        volumes = ["case01/classes", "case01/ct", "case01/organs", "case01/scores"]
    assert names["store"].volumes() == volumes


def test_the_readme_of_voxpatch(folder):
    scan = np.random.default_rng(0).normal(0, 300, (66, 170, 180)).astype("int16")
    options = {"progress": False, "patch": (32, 128, 128)}
    voxpatch.convert(scan, "scans.zarr", "case01/image", **options)
    organs = (scan > 200).astype("uint8")
    voxpatch.convert(organs, "scans.zarr", "case01/organs", kind="label", **options)
    ((_, code),) = blocks("README.md")
    names = {}
    exec(compile(code, "README", "exec"), names)
    assert names["batch"].shape == (2, 32, 128, 128)
    found = np.asarray(voxpatch.open("scans.zarr")["case01/scores"])
    np.testing.assert_allclose(found.squeeze(), scan / 1000, atol=1e-5)
