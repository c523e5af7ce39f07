"""Helpers: run the command, make scans with nibabel, name what the store must hold."""

import gzip
import json
import os
import pathlib
import signal
import subprocess

import nibabel as nib
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("VOXPATCH_BIN", str(ROOT / "target/release/voxpatch"))

# Oblique, anisotropic, left-handed: nothing in it is symmetric or zero by chance.
AFFINE = np.array(
    [
        [-0.69, 0.05, 0.21, 91.5],
        [0.06, 0.70, -0.34, -120.25],
        [-0.03, 0.09, 2.97, 33.125],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


# A shell ignores Ctrl-C in what it starts in the background, and so would every command below.
signal.signal(signal.SIGINT, signal.default_int_handler)


def voxpatch(*args, code=0, **options):
    """Runs the command and requires an exit code. No run may panic."""
    command = [BINARY, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert "panicked" not in done.stderr, done.stderr
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def convert(scan, store, *args, name="case01/image", **options):
    """Converts one scan and returns the folder of its volume."""
    voxpatch(
        "convert", scan, "--out", store, "--name", name, "--patch", "8x8x8", *args, **options
    )
    return pathlib.Path(store) / name


def generation(volume):
    """The folder that a volume's document names: the group with the array `0` in it."""
    document = json.loads((pathlib.Path(volume) / "zarr.json").read_text())
    (image,) = document["attributes"]["ome"]["multiscales"]
    return (pathlib.Path(volume) / image["datasets"][0]["path"]).parent


def voxels(shape, dtype, seed=0):
    """Voxels that use the whole range of their type, with runs that compress."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        data = (random.standard_normal(shape) * 1e6).astype(dtype)
        data.flat[: min(3, data.size)] = [np.nan, -np.inf, -0.0][: min(3, data.size)]
    else:
        info = np.iinfo(dtype)
        data = random.integers(info.min, info.max, shape, dtype, endpoint=True)
    data[..., shape[-1] // 2 :] = 1
    return data


def save(path, data, affine=AFFINE, slope=None, image=nib.Nifti1Image, edit=None):
    """Writes a NIfTI file (axes x, y, z, ...) and returns it as nibabel reads it.

    `slope` is a pair (slope, intercept). nibabel would scale the voxels by it on writing: it is
    put into the finished bytes of the NIfTI-1 header instead.
    """
    scan = image(data, affine, dtype=data.dtype)
    if edit:
        edit(scan)
    content = bytearray(scan.to_bytes())
    if slope:
        content[112:120] = np.array(slope, "<f4").tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return nib.load(path)


def stored(scan):
    """The voxels as they lie in the file, in the order of the store: [t,] [c,] z, y, x."""
    data = np.asarray(scan.dataobj.get_unscaled())
    data = data.reshape((*data.shape, 1, 1, 1)[:5])  # fails for more than five axes
    data = np.moveaxis(data.T, 0, 1)  # c, t, z, y, x -> t, c, z, y, x
    keep = tuple(axis for axis in (0, 1) if data.shape[axis] == 1)
    return data.squeeze(keep)


def files(folder):
    """Every file below a folder with its bytes: to see that nothing changed."""
    paths = sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def litter(folder):
    """What a conversion may not leave behind."""
    return [p for p in pathlib.Path(folder).rglob(".*")]


def triple(values, separator):
    return separator.join(map(str, values))


def read(volume, start, shape, out, *args, code=0):
    """Reads a patch to a file. Start and shape are z, y, x."""
    return voxpatch(
        "read", volume, "--start", triple(start, ","), "--shape", triple(shape, "x"),
        "--out", out, "--overwrite", *args, code=code,
    )  # fmt: skip
