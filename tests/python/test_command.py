"""What the command says and how it ends: 0 done, 1 failed, 2 not understood."""

import json
import os
import subprocess

import pytest
from conftest import BINARY, convert, files, generation, litter, read, save, voxels, voxpatch


@pytest.fixture
def scan(tmp_path):
    save(tmp_path / "scan.nii.gz", voxels((40, 41, 42), "i2"))
    return tmp_path / "scan.nii.gz"


CONVERT = ["convert", "scan.nii.gz", "--out", "store"]
READ = ["read", "store/case01/image", "--out", "patch.npy"]


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["nonsense"],
        ["convert"],
        ["convert", "scan.nii.gz"],
        [*CONVERT, "--patch", "8x8"],
        [*CONVERT, "--patch", "8x8x8x8"],
        [*CONVERT, "--patch", "0x8x8"],
        [*CONVERT, "--patch", "8x8x8:-1"],
        [*CONVERT, "--patch", "8x8x8", "--codec", "middleout"],
        [*CONVERT, "--patch", "8x8x8", "--codec", "gzip:99"],
        [*CONVERT, "--patch", "8x8x8", "--threads", "many"],
        [*CONVERT, "--patch", "8x8x8", "--name", "../outside"],
        [*CONVERT, "--patch", "8x8x8", "--wrong"],
        [*READ, "--start", "0,0", "--shape", "4x4x4"],
        [*READ, "--start", "0,0,0", "--shape", "4,4,4,4"],
        [*READ, "--start", "0,0,0", "--shape", "4x4x4", "--pad", "mirror"],
        [*READ, "--start", "0,0,0", "--shape", "4x4x4", "--pad", "edge:3"],
        [*READ, "--start", "0,0,0", "--shape", "4x4x4", "--frame", "one"],
    ],
)
def test_what_is_not_understood_exits_2_and_touches_nothing(scan, tmp_path, args):
    done = voxpatch(*args, code=2, cwd=tmp_path)
    assert done.stdout == "" and done.stderr != ""
    assert os.listdir(tmp_path) == ["scan.nii.gz"]


def test_help_and_version_exit_0():
    assert "voxpatch" in voxpatch("--version").stdout
    commands = ["convert", "read", "export", "info", "verify", "index", "plan", "bench", "demo"]
    for command in [*commands, "aggregate", "finalise"]:
        assert "Usage" in voxpatch(command, "--help").stdout


def test_what_is_missing_is_named_once(tmp_path):
    missing = tmp_path / "missing.nii.gz"
    for args in [
        ["convert", missing, "--out", tmp_path / "store", "--patch", "8x8x8"],
        ["plan", missing, "--patch", "8x8x8"],
        ["info", missing],
        ["verify", missing],
        ["read", missing, "--start", "0,0,0", "--shape", "1x1x1", "--out", tmp_path / "p.npy"],
    ]:
        done = voxpatch(*args, code=1)
        assert done.stderr.startswith("voxpatch: error: ")
        assert done.stderr.count(str(missing)) == 1, done.stderr
    assert litter(tmp_path) == [] and not (tmp_path / "p.npy").exists()


def test_an_existing_volume_is_not_overwritten_unasked(scan, tmp_path):
    volume = convert(scan, tmp_path / "store")
    before = files(tmp_path / "store")
    save(scan, voxels((30, 31, 32), "i2", seed=9))
    failed = ["convert", scan, "--out", tmp_path / "store", "--name", "case01/image"]
    done = voxpatch(*failed, "--patch", "8x8x8", code=1)
    assert "exists" in done.stderr and "--overwrite" in done.stderr
    assert files(tmp_path / "store") == before
    convert(scan, tmp_path / "store", "--overwrite")
    assert files(tmp_path / "store") != before
    assert volume.exists() and litter(tmp_path / "store") == []


def test_the_default_name_is_the_stem(scan, tmp_path):
    voxpatch("convert", scan, "--out", tmp_path / "store", "--patch", "8x8x8")
    assert (generation(tmp_path / "store/scan/image") / "0/zarr.json").exists()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_scan_is_named_and_leaves_nothing(scan, tmp_path, kept):
    content = scan.read_bytes()
    scan.write_bytes(content[: int(kept * len(content))])
    done = voxpatch("convert", scan, "--out", tmp_path / "store", "--patch", "8x8x8", code=1)
    assert str(scan) in done.stderr
    store = tmp_path / "store"
    assert not store.exists() or (litter(store) == [] and not (store / "scan/image").exists())


def test_a_flipped_bit_is_found(scan, tmp_path):
    volume = convert(scan, tmp_path / "store")
    voxpatch("verify", tmp_path / "store")
    inside = [p for p in (generation(volume) / "0").rglob("*") if p.is_file()]
    shard = max(inside, key=lambda p: p.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    done = voxpatch("verify", tmp_path / "store", code=1)
    assert shard.name in done.stdout + done.stderr
    done = read(volume, (0, 0, 0), (42, 41, 40), tmp_path / "patch.npy", code=1)
    assert shard.name in done.stderr
    assert not (tmp_path / "patch.npy").exists()


def test_json_is_one_document(scan, tmp_path):
    store = tmp_path / "store"
    flags = ["--patch", "8x16x16:3", "--patch", "4x32x32", "--json"]
    documents = [
        voxpatch("plan", scan, *flags),
        voxpatch("convert", scan, "--out", store, *flags),
        voxpatch("info", store, "--json"),
        voxpatch("verify", store, "--json"),
    ]
    for done in documents:
        assert isinstance(json.loads(done.stdout), (dict, list))


@pytest.mark.parametrize("args", [["info", "store"], ["info", "store", "--json"], ["--help"]])
def test_a_closed_pipe_is_no_panic(scan, tmp_path, args):
    convert(scan, tmp_path / "store")
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [BINARY, *args], stdout=theirs, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    os.close(theirs)
    assert "panicked" not in done.stderr and done.returncode in (0, 1)
