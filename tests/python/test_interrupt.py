"""A conversion that is stopped at any moment leaves the store as it was."""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import (
    BINARY,
    convert,
    files,
    generation,
    litter,
    read,
    save,
    stored,
    voxels,
    voxpatch,
)

# Slow on purpose: incompressible, and a codec that tries hard.
SHAPE = (224, 208, 192)
SLOW = ["--codec", "gzip:9", "--chunk", "32x32x32", "--shard", "64x64x64", "--threads", "1"]
DELAYS = [0.0, 0.02, 0.1, 0.25, 0.5]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "large.nii"
    data = np.random.default_rng(2).integers(-1000, 1000, SHAPE, "i2")
    return path, stored(save(path, data))


def interrupt(scan, store, delay, stop, *args):
    """Starts a conversion and stops it; None if it was done before."""
    name = ["--name", "case01/image", "--patch", "32x32x32"]
    command = [BINARY, "convert", str(scan), "--out", str(store), *name, *SLOW, *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(delay)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=120)
    assert "panicked" not in errors
    return None if process.returncode == 0 else process.returncode


def assert_absent(store, tmp_path):
    read(store / "case01/image", (0, 0, 0), (1, 1, 1), tmp_path / "none.npy", code=1)


def assert_swept(store):
    """What killed conversions have left, which nothing names, goes by a sweep, and nothing else."""
    voxpatch("sweep", store, "--older-than", "0s")
    assert litter(store) == []
    image = store / "case01/image"
    assert {path.name for path in image.iterdir()} == {"zarr.json", generation(image).name}
    voxpatch("verify", store)


def assert_stored(volume, expected, tmp_path):
    start, shape = (0, 0, 0), expected.shape
    read(volume, start, shape, tmp_path / "whole.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "whole.npy"), expected)


def test_killed_conversions_leave_nothing_that_opens_and_can_be_repeated(large, tmp_path):
    scan, expected = large
    killed = 0
    for n, delay in enumerate(DELAYS):
        store = tmp_path / f"store{n}"
        if interrupt(scan, store, delay, signal.SIGKILL) is None:
            continue
        killed += 1
        assert_absent(store, tmp_path)
        volume = convert(scan, store, *SLOW[:-2])
        assert_swept(store)
        assert_stored(volume, expected, tmp_path)
    assert killed >= 2


def test_killed_again_and_again_the_litter_goes_by_a_sweep(large, tmp_path):
    scan, expected = large
    for delay in DELAYS[1:]:
        interrupt(scan, tmp_path / "store", delay, signal.SIGKILL, "--overwrite")
    volume = convert(scan, tmp_path / "store", *SLOW[:-2], "--overwrite")
    assert_swept(tmp_path / "store")
    assert_stored(volume, expected, tmp_path)


def test_ctrl_c_ends_with_130_and_leaves_nothing(large, tmp_path):
    scan, _ = large
    store = tmp_path / "store"
    assert interrupt(scan, store, 0.25, signal.SIGINT) == 130
    assert_absent(store, tmp_path)
    assert not store.exists() or litter(store) == []
    assert not (store / "case01/image").exists()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_overwrite_keeps_the_old_volume(large, tmp_path, stop):
    old = save(tmp_path / "old.nii", voxels((20, 21, 22), "i2"))
    volume = convert(tmp_path / "old.nii", tmp_path / "store")
    before = files(volume)
    assert interrupt(large[0], tmp_path / "store", 0.25, stop, "--overwrite") is not None
    left = files(volume)
    if stop == signal.SIGKILL:
        # A killed writer can remove nothing: its own files stay until a sweep, beside the old ones.
        assert before.items() < left.items()
        assert_stored(volume, stored(old), tmp_path)
        voxpatch("sweep", tmp_path / "store", "--older-than", "0s")
        left = files(volume)
    # Compared by name first: the bytes of a difference fill pages.
    assert sorted(left) == sorted(before)
    assert left == before
    assert_stored(volume, stored(old), tmp_path)
    voxpatch("verify", tmp_path / "store")


@pytest.mark.parametrize("delay", [0.3, 1.0, 2.0])
def test_an_interrupted_demo_leaves_nothing(tmp_path, delay):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [BINARY, "demo", "--shape", "800x512x512", "--threads", "1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert "panicked" not in errors
    assert process.returncode in (0, 130)
    assert list(tmp_path.iterdir()) == []
