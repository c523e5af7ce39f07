"""Volumes for the tests, each beside the dense array that it must equal; forked children."""

import os
import signal
import time

import numpy as np
import pytest
import voxpatch
from nifti import write_nifti

SHAPE = (21, 34, 45)
LAYOUT = {"chunk": (4, 8, 8), "shard": (8, 16, 24), "threads": 1, "progress": False}


def scan(shape, dtype="int16", seed=0):
    """Voxels that compress somewhat, and in which no two planes are alike."""
    random = np.random.default_rng(seed)
    noise = random.integers(-900, 900, shape)
    ramp = np.arange(np.prod(shape)).reshape(shape) // 50
    return (noise + ramp).astype(dtype)


@pytest.fixture(scope="session")
def dense():
    return scan(SHAPE)


@pytest.fixture(scope="session")
def store(tmp_path_factory, dense):
    """A store with an image, a label map, an image of three channels and one of time points."""
    folder = tmp_path_factory.mktemp("session")
    path = folder / "store"
    image = write_nifti(folder / "ct.nii", dense, slope=2.0, intercept=-1000.0)
    voxpatch.convert(image, path, "case01/ct", **LAYOUT)
    label = write_nifti(folder / "label.nii", labels())
    names = {1: "liver", 2: "lesion"}
    voxpatch.convert(label, path, "case01/label", kind="label", labels=names, **LAYOUT)
    four = write_nifti(folder / "mr.nii", channels())
    voxpatch.convert(four, path, "case01/mr", fourth_axis="channels", **LAYOUT)
    voxpatch.convert(four, path, "case02/bold", fourth_axis="time", **LAYOUT)
    return path


def labels():
    label = np.zeros(SHAPE, "uint8")
    label[4:9, 5:20, 6:30] = 1
    label[10, 11:14, 12] = 2
    return label


def channels():
    return scan((3, *SHAPE), "int16", seed=1)


@pytest.fixture(scope="session")
def ct(store):
    return voxpatch.open(store)["case01/ct"]


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """A store of five subjects with an image and a label map each."""
    folder = tmp_path_factory.mktemp("many")
    for n in range(5):
        voxpatch.convert(scan(SHAPE, seed=n), folder / "s", f"case{n}/ct", **LAYOUT)
        options = {"kind": "label", **LAYOUT}
        voxpatch.convert(labels(), folder / "s", f"case{n}/label", **options)
    return voxpatch.open(folder / "s")


def child(work):
    """Forks; the exit code of the child, which is killed after half a minute."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"
