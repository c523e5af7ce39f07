"""Programs as models: what comes of their predictions is what dense NumPy code gives, by the
published formulas of TorchIO and MONAI."""

import itertools
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import zarr
from conftest import convert, generation, read, save, stored, triple, voxpatch

SHAPE, PATCH, OVERLAP = (26, 30, 34), (8, 12, 16), (4, 6, 8)

# A prediction that depends on where the patch lies, so that blending shows.
PREDICT = """
def predict(p):
    mean = p.mean(axis=(2, 3, 4), keepdims=True)
    return np.concatenate([p / 8 + mean, np.cos(p) * 4 + mean / 2, 3 - mean + 0 * p], 1)
"""
MODEL = """
import sys
import numpy as np

class Pipe:  # np.load and np.save take a real file for one that can seek
    read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
%s
while sys.stdin.buffer.peek(1):
    patches = np.lib.format.read_array(Pipe)
    %s
    sys.stdout.buffer.flush()
"""
exec(PREDICT)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aggregate")
    data = np.random.default_rng(5).integers(-9, 10, SHAPE[::-1], "i2")
    image = save(folder / "ct.nii", data)
    convert(folder / "ct.nii", folder / "s")
    return folder, stored(image).astype("f4")


def model(folder, answer="np.save(Pipe, predict(patches))", name="model.py", predict=PREDICT):
    (folder / name).write_text(MODEL % (predict, answer))
    return f"{sys.executable} {folder / name}"


def aggregate(folder, command, *args, mode="crop", overlap=triple(OVERLAP, "x"), code=0):
    return voxpatch(
        "aggregate", folder / "s/case01/image", "--patch", triple(PATCH, "x"), "--overlap", overlap,
        "--mode", mode, "--scaled", "--overwrite", "--exec", command, *args, code=code,
    )  # fmt: skip


def made(folder, name="prediction"):
    return zarr.open_array(generation(folder / "s/case01" / name) / "0", mode="r")


def starts(length, patch, overlap):
    found = list(range(0, length - patch + 1, patch - overlap))
    return found + [length - patch] * (found[-1] != length - patch)


def patches(data):
    for at in itertools.product(*map(starts, SHAPE, PATCH, OVERLAP)):
        where = tuple(slice(a, a + p) for a, p in zip(at, PATCH))
        yield at, where, predict(data[where][None, None])[0].astype("f8")


def crop(data):
    """TorchIO's GridAggregator: half the overlap is cut off where a patch has a neighbour."""
    out = np.full((3, *SHAPE), np.nan)
    for at, _, p in patches(data):
        lo = [o // 2 if a else 0 for a, o in zip(at, OVERLAP)]
        ends = [a + n == s for a, n, s in zip(at, PATCH, SHAPE)]
        hi = [n if end else n - o // 2 for n, o, end in zip(PATCH, OVERLAP, ends)]
        inside = tuple(map(slice, lo, hi))
        to = tuple(slice(a + l, a + h) for a, l, h in zip(at, lo, hi))
        out[(slice(None), *to)] = p[(slice(None), *inside)]
    return out


def weighted(data, window):
    total, weights = np.zeros((3, *SHAPE)), np.zeros(SHAPE)
    for _, where, p in patches(data):
        total[(slice(None), *where)] += p * window
        weights[where] += window
    return total / weights


def product(axes):
    z, y, x = axes
    return z[:, None, None] * y[None, :, None] * x[None, None, :]


def hann():
    """torch.hann_window(n + 2, periodic=False)[1:-1], as TorchIO."""
    return product([np.hanning(n + 2)[1:-1] for n in PATCH])


def gaussian(scale):
    """MONAI's compute_importance_map."""
    axes = [np.arange(n) - (n - 1) / 2 for n in PATCH]
    window = product([np.exp(-(x**2) / (2 * (scale * n) ** 2)) for x, n in zip(axes, PATCH)])
    return np.maximum(window, max(window.min(), 1e-3))


DENSE = {
    "crop": crop,
    "average": lambda data: weighted(data, np.ones(PATCH)),
    "constant": lambda data: weighted(data, np.ones(PATCH)),
    "hann": lambda data: weighted(data, hann()),
    "gaussian": lambda data: weighted(data, gaussian(0.125)),
    "gaussian:0.3": lambda data: weighted(data, gaussian(0.3)),
}


@pytest.mark.parametrize("mode", DENSE)
def test_every_mode_is_its_published_formula(scan, mode):
    folder, data = scan
    aggregate(folder, model(folder), "--batch", "3", mode=mode)
    found = made(folder)
    assert found.dtype == "f4"
    assert found.metadata.dimension_names == ("c", "z", "y", "x")
    np.testing.assert_allclose(found[:], DENSE[mode](data), atol=2e-5)


@pytest.mark.parametrize("batch", [1, 4, 1000])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1"])
def test_answers_come_in_four_types_and_any_batch(scan, dtype, batch):
    folder, data = scan
    command = model(folder, f"np.save(Pipe, (patches % 7).astype('{dtype}'))", f"{dtype}.py")
    aggregate(folder, command, "--batch", batch)
    np.testing.assert_array_equal(made(folder)[:], data % 7)


def test_stored_values_are_the_blended_ones_in_every_form(scan):
    folder, data = scan
    outputs = {
        "byte": "uint8:0.05", "word": "uint16:0.001", "classes": "argmax",
        "mask": "threshold:1",
    }  # fmt: skip
    flags = [flag for name, values in outputs.items() for flag in ("--output", f"{name}={values}")]
    aggregate(folder, model(folder), *flags, mode="hann")
    dense = DENSE["hann"](data)
    for name, dtype, scale, top in [("byte", "u1", 0.05, 255), ("word", "u2", 0.001, 65535)]:
        found = made(folder, name)
        assert found.dtype == dtype
        expected = np.clip(dense / scale, 0, top)
        assert np.abs(found[:] - expected).max() < 0.5 + 0.03
        patch = [folder / "s/case01" / name, (0, 0, 0), SHAPE, folder / "r.npy"]
        read(*patch, "--scaled", "--frame", "0,0")
        np.testing.assert_allclose(np.load(folder / "r.npy"), found[0] * scale, rtol=1e-6)
    best, second = np.sort(dense, 0)[[-1, -2]]
    clear = best - second > 1e-4
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(made(folder, "classes")[:][clear], dense.argmax(0)[clear])
    near = np.abs(dense - 1) < 1e-4
    np.testing.assert_array_equal(made(folder, "mask")[:][~near], (dense >= 1)[~near])


def test_half_precision_is_stored_as_such(scan):
    folder, data = scan
    aggregate(folder, model(folder), "--output", "half=float16", mode="hann")
    half = made(folder, "half")
    assert half.dtype == "f2"
    np.testing.assert_allclose(half[:], DENSE["hann"](data), atol=2e-5, rtol=2**-10)


def test_heads_of_another_stride_have_their_own_grid_and_affine(scan):
    folder, data = scan
    answer = "np.save(Pipe, patches); np.save(Pipe, patches[..., ::2, ::2, ::2])"
    aggregate(
        folder, model(folder, answer, "heads.py"), "--output", "fine=float32", "--output",
        "coarse=float32@1",
    )  # fmt: skip
    np.testing.assert_allclose(made(folder, "fine")[:], data, atol=1e-6)
    coarse = made(folder, "coarse")
    assert coarse.shape == (13, 15, 17)
    np.testing.assert_allclose(coarse[:], data[::2, ::2, ::2], atol=1e-6)
    attributes = [
        zarr.open_group(generation(folder / "s/case01" / name), mode="r").attrs["voxpatch"]["affine"]
        for name in ("image", "coarse")
    ]
    image, small = map(np.array, attributes)
    np.testing.assert_allclose(small[:, :3], image[:, :3] @ np.diag([2, 2, 2]), atol=1e-9)
    np.testing.assert_allclose(small @ [0, 0, 0, 1], image @ [0.5, 0.5, 0.5, 1], atol=1e-9)


def test_the_model_is_given_stored_voxels_unless_scaled(scan):
    folder, data = scan
    command = model(folder, "np.save(Pipe, (patches * (patches.dtype == '<i2')).astype('f4'))", "d.py")
    aggregate(folder, command)
    assert not made(folder)[:].any()
    voxpatch(
        "aggregate", folder / "s/case01/image", "--patch", triple(PATCH, "x"), "--overlap", "0",
        "--mode", "crop", "--overwrite", "--exec", command,
    )  # fmt: skip
    np.testing.assert_array_equal(made(folder)[:], data)


def test_borders_are_padded_as_numpy_pads(scan):
    folder, data = scan
    answer = "np.save(Pipe, patches[:, :, ::-1] * 1.0 + 0 * patches)"
    for pad, how in [("edge", {}), ("reflect", {}), ("constant:5", {"constant_values": 5})]:
        aggregate(
            folder, model(folder, answer, "flip.py"), "--pad", pad, "--pad-borders", overlap="0.5",
        )  # fmt: skip
        around = [(o // 2, o - o // 2) for o in OVERLAP]
        padded = np.pad(data, around, pad.split(":")[0], **how)
        out = np.zeros(padded.shape, "f4")
        for at in itertools.product(*map(starts, padded.shape, PATCH, OVERLAP)):
            lo = [a + o // 2 for a, o in zip(at, OVERLAP)]
            hi = [a + n - o // 2 for a, n, o in zip(at, PATCH, OVERLAP)]
            flipped = padded[tuple(slice(a, a + n) for a, n in zip(at, PATCH))][::-1]
            inside = tuple(slice(o // 2, n - o // 2) for n, o in zip(PATCH, OVERLAP))
            out[tuple(map(slice, lo, hi))] = flipped[inside]
        expected = out[tuple(slice(b, b + s) for (b, _), s in zip(around, SHAPE))]
        np.testing.assert_array_equal(made(folder)[:], expected)


def test_label_maps_are_ome_zarr_labels(scan):
    folder, _ = scan
    aggregate(folder, model(folder), "--output", "organs=argmax", "--output", "p=float32")
    command = pathlib.Path(sys.executable).with_name("ome-zarr-models")
    for name in ("organs", "p"):
        volume = folder / "s/case01" / name
        done = subprocess.run([command, "validate", volume], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def facts(name):
        document = (generation(folder / "s/case01" / name) / "zarr.json").read_text()
        return json.loads(document)["attributes"]["voxpatch"]

    assert facts("organs")["kind"] == "label"
    assert facts("organs")["affine"] == facts("image")["affine"]
    assert (generation(folder / "s/case01/organs") / "0/sampling.json").exists()


def test_what_a_model_prints_or_raises_is_told(scan):
    folder, _ = scan
    printed = aggregate(folder, model(folder, "print('loading weights', flush=True)", "p.py"), code=1)
    assert "loading weights" in printed.stderr and "file=sys.stderr" in printed.stderr
    raised = aggregate(folder, model(folder, "raise ValueError('no weights')", "e.py"), code=1)
    assert "ValueError: no weights" in raised.stderr and "exit status: 1" in raised.stderr
    wrong = aggregate(folder, model(folder, "np.save(Pipe, predict(patches)[0])", "w.py"), code=1)
    assert "five axes" in wrong.stderr
    fortran = "np.save(Pipe, np.asfortranarray(predict(patches)))"
    assert "ascontiguousarray" in aggregate(folder, model(folder, fortran, "f.py"), code=1).stderr


def test_the_model_in_the_help_works(scan):
    folder, data = scan
    shown = voxpatch("aggregate", "--help").stdout
    lines = shown[shown.index("import sys, numpy") :].split("\n\n")[0].splitlines()
    code = "\n".join([lines[0].strip(), *(line[2:] for line in lines[1:])])
    (folder / "help.py").write_text("predict = lambda patches: patches + 1\n" + code)
    aggregate(folder, f"{sys.executable} {folder / 'help.py'}")
    np.testing.assert_array_equal(made(folder)[:], data + 1)


def test_a_model_may_read_everything_before_it_answers_anything(scan):
    folder, data = scan
    code = "import sys; all = sys.stdin.buffer.read(); sys.stdout.buffer.write(all)"
    (folder / "late.py").write_text(code)
    aggregate(folder, f"{sys.executable} {folder / 'late.py'}", mode="average")
    np.testing.assert_allclose(made(folder)[:], data, atol=1e-5)
