"""Conversion, export and plans; progress and interrupts of long work."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import voxpatch
from conftest import LAYOUT, SHAPE, scan
from nifti import write_nifti


@pytest.fixture
def image(tmp_path):
    return write_nifti(tmp_path / "case07_0000.nii", scan(SHAPE))


def test_reports_are_those_of_the_command(tmp_path, image):
    report = voxpatch.convert(image, tmp_path / "s", patch=(4, 8, 16), progress=False)
    assert report["shape"] == list(SHAPE) and report["source_format"].startswith("nifti")
    assert voxpatch.open(tmp_path / "s").volumes() == [report["name"]]
    written = voxpatch.export(
        voxpatch.open(tmp_path / "s")[report["name"]], tmp_path / "out.nii", progress=False
    )
    assert written["voxel_digest"] == report["voxel_digest"]
    assert (tmp_path / "out.nii").read_bytes()[352:] == image.read_bytes()[352:]


def test_layouts_follow_the_patches(tmp_path, image):
    tall = voxpatch.plan(image, patch=(16, 4, 4))["layout"]["chunk"]
    flat = voxpatch.plan(image, patch=[(1, 32, 32)])["layout"]["chunk"]
    assert tall[0] > flat[0] and tall[2] < flat[2]
    options = {"shape": (100, 512, 512), "spacing": (3, 0.7, 0.7), "dtype": "int16"}
    some = voxpatch.plan(**options, patch={(32, 128, 128): 3, (1, 512, 512): 1})
    assert [p["weight"] for p in some["patches"]] == [3, 1]
    assert voxpatch.plan(**options, patch=64, overlap=16)["shards"] > 0
    assert voxpatch.plan(**options, patch_mm=(30, 30, 30))["patches"][0]["patch"] == [10, 43, 43]
    assert voxpatch.plan(**options, chunk=(8, 64, 64))["layout"]["chunk"] == [8, 64, 64]
    with pytest.raises(voxpatch.errors.InvalidLayoutError):
        voxpatch.plan(**options, chunk=(8, 64, 64), shard=(9, 64, 64))
    with pytest.raises(TypeError, match="give a scan"):
        voxpatch.plan(shape=(1, 2, 3))
    with pytest.raises(TypeError, match="overlap goes with patch"):
        voxpatch.plan(**options, overlap=3)
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="codec"):
        voxpatch.plan(**options, codec="jpeg")


def test_damaged_and_missing_scans_are_told_apart(tmp_path, image):
    with pytest.raises(FileNotFoundError):
        voxpatch.convert(tmp_path / "none.nii", tmp_path / "s")
    image.write_bytes(image.read_bytes()[:-1])
    with pytest.raises(voxpatch.errors.CorruptScanError) as found:
        voxpatch.convert(image, tmp_path / "s", "a/b", progress=False)
    assert found.value.path == str(image)
    # What had been made was removed, the store too.
    assert not (tmp_path / "s/a").exists()


def test_channels_of_several_files(tmp_path):
    files = [write_nifti(tmp_path / f"case_{n:04}.nii", scan(SHAPE, seed=n)) for n in range(2)]
    voxpatch.convert(files, tmp_path / "s", "case/mr", **LAYOUT)
    both = np.stack([scan(SHAPE, seed=n) for n in range(2)])
    np.testing.assert_array_equal(voxpatch.open(tmp_path / "s")["case/mr"], both)


def test_progress_is_told_in_bytes_and_may_stop_the_work(tmp_path, image):
    told = []
    options = {**LAYOUT, "progress": lambda *numbers: told.append(numbers)}
    voxpatch.convert(image, tmp_path / "s", "a/b", **options)
    assert told == sorted(told) and told[-1][0] == told[-1][1] > 0

    large = write_nifti(tmp_path / "large.nii", scan((200, 200, 200)))

    def stop(done, total):
        raise RuntimeError("enough")

    options = {"codec": "gzip:9", "threads": 1, "progress": stop}
    with pytest.raises(RuntimeError, match="enough"):
        voxpatch.convert(large, tmp_path / "s", "a/large", **options)
    assert voxpatch.open(tmp_path / "s").volumes() == ["a/b"]
    assert voxpatch.open(tmp_path / "s").sweep(0) == {"removed": [], "kept": []}


def test_ctrl_c_ends_long_work_at_once_and_leaves_nothing(tmp_path):
    large = write_nifti(tmp_path / "large.nii", scan((200, 200, 200)))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            voxpatch.convert(
                large, tmp_path / "s", "a/b", codec="gzip:9", threads=1, progress=False
            )
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert not (tmp_path / "s/a/b").exists()


def test_other_threads_run_meanwhile(tmp_path):
    large = write_nifti(tmp_path / "large.nii", scan((100, 200, 200)))
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    voxpatch.convert(large, tmp_path / "s", "a/b", codec="gzip:6", threads=1, progress=False)
    done.set()
    thread.join()
    assert len(ticks) > 10


def test_bars_are_drawn_on_request_and_erased(tmp_path, image, capfd):
    voxpatch.convert(image, tmp_path / "s", "a/b", threads=1, progress=True)
    shown = capfd.readouterr().err
    assert "a/b [" in shown and "100%" in shown and shown.endswith("\r")
    voxpatch.convert(image, tmp_path / "s", "a/c", threads=1)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32", "float64", "int64"])
def test_arrays_are_converted_as_they_are(tmp_path, dtype):
    dense = scan(SHAPE, dtype)
    affine = np.array([[0, -2, 0, 5], [3, 0, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1.0]])
    arrays = {
        "a/c": dense,
        "a/f": np.asfortranarray(dense),
        "a/view": np.repeat(dense, 2, axis=1)[:, ::2],
        "a/channels": np.stack([dense, dense[::-1]]),
    }
    np.save(tmp_path / "a.npy", dense)
    arrays["a/mapped"] = np.load(tmp_path / "a.npy", mmap_mode="r")
    for name, array in arrays.items():
        voxpatch.convert(array, tmp_path / "s", name, affine=affine, **LAYOUT)
        volume = voxpatch.open(tmp_path / "s")[name]
        np.testing.assert_array_equal(volume, array)
        np.testing.assert_array_equal(volume.affine, affine)
        assert volume.spacing == (4.0, 2.0, 3.0) and volume.dtype == dense.dtype
    voxpatch.convert(dense, tmp_path / "s", "b/c", spacing=(5, 2, 1), **LAYOUT)
    assert voxpatch.open(tmp_path / "s")["b/c"].spacing == (5.0, 2.0, 1.0)


def test_arrays_that_are_no_volumes_are_refused(tmp_path):
    store, dense = tmp_path / "s", scan((4, 5, 6))
    for wrong in (dense[0], np.zeros((1, 1, 4, 5, 6)), dense[:0], dense.astype(">i2")):
        with pytest.raises(ValueError, match="of scan"):
            voxpatch.convert(wrong, store, "a/b")
    for options in (
        {"spacing": (1, 1, 1), "affine": np.eye(4)}, {"affine": np.eye(3)}, {"skip_same": True},
        {"fourth_axis": "time"},
    ):  # fmt: skip
        with pytest.raises(TypeError):
            voxpatch.convert(dense, store, "a/b", **options)
    with pytest.raises(TypeError, match="needs a name"):
        voxpatch.convert(dense, store)
    with pytest.raises(TypeError, match="go with an array"):
        voxpatch.convert("a.nii", store, spacing=(1, 1, 1))
    for options in ({"spacing": (0, 1, 1)}, {"affine": np.full((4, 4), np.nan)}):
        with pytest.raises(voxpatch.VoxpatchError):
            voxpatch.convert(dense, store, "a/b", **options)
    assert not store.exists()
