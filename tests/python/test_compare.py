"""tools/compare, which measures voxpatch beside other libraries: without those, it runs and
agrees with the scan. Says nothing about speed."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import BINARY, ROOT, save

RUN = ROOT / "tools/compare/run"


@pytest.fixture
def compare(tmp_path):
    if not shutil.which("cargo"):
        pytest.skip("cargo is not in PATH: it builds the reader")

    def run(*args):
        out = tmp_path / "results.json"
        scratch = tmp_path / "scratch"
        done = subprocess.run(
            [RUN, "--quick", "--json", out, "--scratch", scratch, *args],
            capture_output=True,
            text=True,
            env=os.environ | {"VOXPATCH_COMPARE_PYTHON": sys.executable, "VOXPATCH_BIN": BINARY},
        )
        assert done.returncode == 0, done.stderr
        assert not list(scratch.iterdir())
        return json.loads(out.read_text()), out.with_suffix(".md").read_text()

    return run


def test_every_patch_of_every_section_is_that_of_the_scan(compare):
    sections = "warm,cold,training,bitflips"
    result, tables = compare("--only", "numpy,voxpatch", "--sections", sections)
    assert result["failures"] == {}
    (volume,) = result["volumes"]
    for section in ("warm", "cold"):
        for results in volume[section].values():
            assert {"numpy", "voxpatch-default", "voxpatch-packed:8"} <= set(results)
            assert all(r["wrong"] == 0 and r["mb_per_s"] > 0 for r in results.values())
    assert all(r["wrong"] == 0 for r in volume["training"].values())
    for name, counts in volume["bitflips"].items():
        assert counts["crashed"] == 0
        assert name == "numpy" or counts["silently wrong"] == 0
    assert "voxpatch packed:8" in tables


def test_blended_predictions_are_the_means_that_they_are_to_be(compare):
    result, tables = compare("--only", "numpy,voxpatch", "--sections", "aggregate")
    assert (result["failures"], result["volumes"]) == ({}, [])
    all_rivals, classes, deep = result["aggregate"]
    for case in (all_rivals, classes, deep):
        for results in case["modes"].values():
            assert all(r["wrong"] == 0 and r["patches"] == case["patches"] for r in results.values())
    for mode in ("crop", "average", "hann", "gaussian"):
        names = {f"numpy-{mode}", f"voxpatch-{mode}", f"voxpatch-{mode}-argmax"}
        assert names == set(all_rivals["modes"][mode])
        assert all_rivals["modes"][mode][f"voxpatch-{mode}"]["stored_mb"] > 0
    assert deep["patches"] > 1.9 * all_rivals["patches"]
    assert "voxpatch hann" in tables and "MB/s of predictions" in tables


def test_one_voxel_that_is_off_is_counted_whatever_is_made(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "tools/compare"))
    import blending

    patch, overlap, shape = (8, 8, 8), (4, 4, 4), (19, 12, 8)
    job = blending.Job(tmp_path / "predictions", 3, shape, patch, overlap, tmp_path, 1.0)
    blending.write_predictions(job)
    predictions = job.load()
    for mode in blending.MODES:
        means = np.concatenate([slab for _, slab in blending.truth(job, mode, predictions)], axis=1)
        labels = means.argmax(axis=0)

        def wrong(found):
            truth = blending.truth(job, mode, predictions)
            return blending.deviation(found, truth, mode)["wrong"]

        assert wrong(means) == wrong(labels) == 0
        labels[-1, -1, -1] = means[:, -1, -1, -1].argmin()
        assert wrong(labels) == 1
        for off in (means[0, 1, 2, 3] + 2e-5, np.nan):
            means[0, 1, 2, 3] = off
            assert wrong(means) == 1


def test_a_scan_and_its_mirrored_copy_are_measured(compare, tmp_path):
    voxels = np.random.default_rng(0).integers(-1000, 1000, (40, 36, 12), "i2")
    save(tmp_path / "ct.nii.gz", voxels)
    args = ["--scan", tmp_path / "ct.nii.gz", "--mirror", "31", "--sections", "warm"]
    result, _ = compare("--only", "numpy,voxpatch-default", *args)
    assert [volume["shape"] for volume in result["volumes"]] == ["12x36x40", "31x36x40"]
    for volume in result["volumes"]:
        assert all(r["wrong"] == 0 for results in volume["warm"].values() for r in results.values())


def test_a_missing_library_is_listed_and_does_not_end_the_run(compare):
    result, tables = compare("--only", "numpy,medrs", "--sections", "warm")
    assert "medrs" in result["failures"]
    assert "- medrs:" in tables
    assert all("numpy" in results for results in result["volumes"][0]["warm"].values())
