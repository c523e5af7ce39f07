"""The command line from Python is that of the program: its text, its codes, its Ctrl-C."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import voxpatch
from nifti import write_nifti

MODULE = [sys.executable, "-m", "voxpatch"]
SCRIPT = [str(pathlib.Path(sys.executable).with_name("voxpatch"))]

# A shell ignores Ctrl-C in what it starts in the background, and so would every command below.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Answers each patch with itself.
MODEL = """
import sys
import numpy as np

class Pipe:  # np.load and np.save take a real file for one that can seek
    read, write = sys.stdin.buffer.read, sys.stdout.buffer.write

while sys.stdin.buffer.peek(1):
    np.save(Pipe, np.lib.format.read_array(Pipe).astype("float32"))
    sys.stdout.buffer.flush()
"""


def run(*args, code=0, command=MODULE, **options):
    """Runs the command line, and requires an exit code and no traceback."""
    args = [*command, *map(str, args)]
    done = subprocess.run(args, capture_output=True, text=True, timeout=120, **options)
    assert "Traceback" not in done.stderr and "panicked" not in done.stderr, done.stderr
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture
def scan(tmp_path):
    voxels = np.random.default_rng(1).integers(-900, 900, (20, 24, 28)).astype("int16")
    return write_nifti(tmp_path / "scan.nii", voxels)


def convert(scan, store, **options):
    return run("convert", scan, "--out", store, "--name", "a/ct", "--patch", "8x8x8", **options)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["convert", "--help"]])
def test_the_module_and_the_script_tell_the_same(args):
    module, script = run(*args), run(*args, command=SCRIPT)
    assert module.stdout == script.stdout and "voxpatch" in module.stdout
    assert module.stderr == script.stderr == ""


def test_exit_codes_are_those_of_the_program(tmp_path):
    assert "Usage: voxpatch" in run("nonsense", code=2).stderr
    conflict = run("demo", "--scan", "ct.nii", "--shape", "8x8x8", code=2)
    assert "Usage: voxpatch demo" in conflict.stderr
    missing = run("info", tmp_path / "missing", code=1)
    assert missing.stderr.startswith("voxpatch: error: ") and missing.stdout == ""


def test_a_scan_is_converted_and_described(scan, tmp_path):
    convert(scan, tmp_path / "store")
    info = json.loads(run("info", tmp_path / "store", "--json").stdout)
    (volume,) = info["volumes"]
    assert (volume["name"], volume["shape"]) == ("a/ct", [20, 24, 28])
    run("verify", tmp_path / "store")


def test_names_that_are_no_text_arrive_as_they_are(scan, tmp_path):
    odd = str(tmp_path / "sc\udcffn.nii")  # The byte 0xff, as Python has it.
    scan.rename(odd)
    convert(odd, tmp_path / "store")


def test_a_reader_that_closes_the_output_is_no_error(scan, tmp_path):
    convert(scan, tmp_path / "store")
    command = [*MODULE, "info", str(tmp_path / "store")]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipe) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_program_predicts(scan, tmp_path):
    convert(scan, tmp_path / "store")
    (tmp_path / "model.py").write_text(MODEL)
    run(
        "aggregate", tmp_path / "store/a/ct", "--exec", f"{sys.executable} {tmp_path}/model.py",
        "--patch", "8x8x8", "--overlap", "0.5", "--mode", "hann", "--output", "copy=float32",
    )  # fmt: skip
    copy = voxpatch.open(tmp_path / "store")["a/copy"]
    np.testing.assert_allclose(copy[...], voxpatch.open(tmp_path / "store")["a/ct"][...], rtol=1e-4)


def test_the_demo_runs():
    done = run("demo", "--shape", "48x64x64", "--patch", "16x16x16")
    assert "Next: voxpatch convert" in done.stdout


def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path):
    voxels = np.random.default_rng(2).integers(-1000, 1000, (224, 208, 192)).astype("int16")
    scan = write_nifti(tmp_path / "large.nii", voxels)
    slow = ["--codec", "gzip:9", "--chunk", "32x32x32", "--shard", "64x64x64", "--threads", "1"]
    command = [*MODULE, "convert", str(scan), "--out", str(tmp_path / "store"), "--name", "a/ct"]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--patch", "32x32x32", *slow], **pipe) as process:
        # The store is made when the command listens to Ctrl-C already.
        while not (tmp_path / "store").exists():
            time.sleep(0.01)
            assert process.poll() is None
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors and output == ""
    assert not (tmp_path / "store/a/ct").exists()
    assert list((tmp_path / "store").rglob(".*")) == []
