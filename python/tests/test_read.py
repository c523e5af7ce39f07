"""Patches equal those of a dense array, into new arrays and into those of a caller."""

import signal

import numpy as np
import pytest
import voxpatch
from conftest import SHAPE, channels, labels

MODES = {"edge": {}, "reflect": {}, "symmetric": {}, "wrap": {}, "constant": {"constant_values": 0}}


def cut(dense, start, shape):
    return dense[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))]


def padded(dense, start, shape, mode, **options):
    """The patch of a dense array that `numpy.pad` has extended on all sides."""
    by = 20
    wide = np.pad(dense, by, mode=mode, **options)
    return cut(wide, [s + by for s in start], shape)


def test_any_patch_is_that_of_the_dense_array(ct, dense):
    random = np.random.default_rng(3)
    for _ in range(100):
        shape = [int(random.integers(1, n + 1)) for n in SHAPE]
        start = [int(random.integers(0, n - m + 1)) for n, m in zip(SHAPE, shape, strict=True)]
        patch = ct.read(start, shape)
        np.testing.assert_array_equal(patch, cut(dense, start, shape))
        assert patch.dtype == dense.dtype
        assert patch.flags.c_contiguous and patch.flags.writeable and patch.flags.aligned
        assert patch.ctypes.data % 64 == 0


def test_triples_are_any_three_whole_numbers(ct, dense):
    expected = dense[1:5, 2:6, 3:7]
    for start in [(1, 2, 3), [1, 2, 3], np.array([1, 2, 3]), np.array([1, 2, 3], "uint8")]:
        for shape in [4, (4, 4, 4), np.int64(4), np.array([4, 4, 4])]:
            np.testing.assert_array_equal(ct.read(start, shape), expected)
    for wrong in [(1, 2), (1, 2, 3, 4), 1, "123", None, (1.5, 2, 3)]:
        with pytest.raises(TypeError, match="start must be three whole numbers"):
            ct.read(wrong, 4)
    with pytest.raises(TypeError, match="shape must be three whole numbers"):
        ct.read((0, 0, 0), (1, 2))
    with pytest.raises(ValueError, match="negative"):
        ct.read((0, 0, 0), (1, 2, -3))


@pytest.mark.parametrize("mode", MODES)
def test_patches_beyond_the_border_are_padded_as_numpy_does(ct, dense, mode):
    for start, shape in [((-4, -3, -2), (9, 9, 9)), ((15, 30, 40), (10, 10, 10))]:
        expected = padded(dense, start, shape, mode, **MODES[mode])
        np.testing.assert_array_equal(ct.read(start, shape, pad=mode), expected)
    expected = padded(dense, (-4, -3, -2), (9, 9, 9), "constant", constant_values=-7)
    np.testing.assert_array_equal(ct.read((-4, -3, -2), 9, pad=-7), expected)


def test_a_patch_beyond_the_border_without_padding_is_an_error(ct):
    with pytest.raises(IndexError, match="pass pad=") as found:
        ct.read((-1, 0, 0), 4)
    assert isinstance(found.value, voxpatch.errors.OutOfBoundsError) and found.value.hint
    with pytest.raises(ValueError, match="pad"):
        ct.read((-1, 0, 0), 4, pad="mirror")
    with pytest.raises(voxpatch.VoxpatchError, match="padding"):
        ct.read((-1, 0, 0), 4, pad=1e9)
    with pytest.raises(TypeError, match="pad"):
        ct.read((-1, 0, 0), 4, pad=[1])


def test_voxels_are_scaled_converted_and_normalised(ct, dense):
    start, shape = (2, 3, 4), (5, 6, 7)
    real = 2.0 * cut(dense, start, shape) - 1000.0
    scaled = ct.read(start, shape, scaled=True)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, real.astype("f4"))
    for dtype in ["float64", np.float64, np.dtype("f8"), "f8", float]:
        converted = ct.read(start, shape, dtype=dtype)
        assert converted.dtype == np.float64
        np.testing.assert_array_equal(converted, cut(dense, start, shape))
    half = ct.read(start, shape, dtype="float16")
    np.testing.assert_array_equal(half, cut(dense, start, shape).astype("f2"))
    z_score = ct.z_score()
    whole = 2.0 * dense.astype("f8") - 1000.0
    assert (z_score.mean, z_score.std) == pytest.approx((whole.mean(), whole.std()))
    for normalise in ("z_score", z_score, voxpatch.Normalise(z_score.mean, z_score.std)):
        expected = ((real - z_score.mean) / z_score.std).astype("f4")
        np.testing.assert_array_equal(ct.read(start, shape, normalise=normalise), expected)
    window = voxpatch.Normalise.range(-200, 300)
    expected = ((np.clip(real, -200, 300) + 200) / 500).astype("f4")
    np.testing.assert_array_equal(ct.read(start, shape, normalise=window), expected)
    assert repr(window) == "Normalise(-200, 500, clip=(-200, 300))"
    with pytest.raises(TypeError, match="one of scaled, dtype and normalise"):
        ct.read(start, shape, scaled=True, dtype="f4")
    for wrong in ("complex64", ">i2", object, "S3"):
        with pytest.raises(TypeError, match="dtype"):
            ct.read(start, shape, dtype=wrong)


def test_patches_are_mirrored_as_by_numpy(ct, dense):
    expected = cut(dense, (2, 3, 4), (5, 6, 7))
    for flip in [0, 1, 2, -1, (0, 2), (0, 1, 2), ()]:
        found = ct.read((2, 3, 4), (5, 6, 7), flip=flip)
        np.testing.assert_array_equal(found, np.flip(expected, flip))
    with pytest.raises(ValueError, match="axis"):
        ct.read((2, 3, 4), 5, flip=3)


def test_frames_are_chosen_by_name(store):
    dataset, dense = voxpatch.open(store), channels()
    mr, bold = dataset["case01/mr"], dataset["case02/bold"]
    start, shape = (1, 2, 3), (4, 5, 6)
    region = (slice(None), slice(1, 5), slice(2, 7), slice(3, 9))
    np.testing.assert_array_equal(mr.read(start, shape), dense[region])
    np.testing.assert_array_equal(mr.read(start, shape, channel=1), dense[region][1])
    np.testing.assert_array_equal(bold.read(start, shape, time=2), dense[region][2])
    np.testing.assert_array_equal(bold.read(start, shape, frames="all"), dense[region])
    ct = dataset["case01/ct"]
    assert ct.read(start, shape, frames="all").shape == (1, *shape)
    with pytest.raises(voxpatch.VoxpatchError, match="pass time="):
        bold.read(start, shape)
    for wrong in ({"time": 3}, {"channel": 1, "time": 0}):
        with pytest.raises(voxpatch.errors.InvalidArgumentError):
            bold.read(start, shape, **wrong)
    with pytest.raises(TypeError, match="neither"):
        bold.read(start, shape, frames="all", time=0)


def test_out_is_filled_and_returned_whatever_its_strides(ct, dense):
    start, shape = (2, 3, 4), (5, 6, 7)
    expected = cut(dense, start, shape)
    wide = np.zeros((12, 14, 16), "i2")
    outs = [
        np.empty(shape, "i2"),
        np.empty(shape, "i2", order="F"),
        wide[1:11:2, 2:14:2, 2:16:2],
        wide[5:0:-1, 6:0:-1, 7:0:-1],
        np.empty((7, 5, 6), "i2").transpose(1, 2, 0),
    ]
    for out in outs:
        assert ct.read(start, shape, out=out) is out
        np.testing.assert_array_equal(out, expected)
    before = wide.copy()
    ct.read(start, shape, out=wide[1:6, 1:7, 1:8])
    changed = wide != before
    changed[1:6, 1:7, 1:8] = False
    assert not changed.any(), "nothing beside the patch was written"


def test_an_out_that_does_not_fit_is_refused_and_left(ct):
    start, shape = (2, 3, 4), (5, 6, 7)
    read_only = np.full(shape, 9, "i2")
    read_only.flags.writeable = False
    refused = [
        (np.full((5, 6, 8), 9, "i2"), ValueError, "shape"),
        (np.full((1, 5, 6, 7), 9, "i2"), ValueError, "shape"),
        (np.full(shape, 9, "i4"), TypeError, "int32"),
        (np.full(shape, 9, ">i2"), ValueError, "byte order"),
        (np.full(shape, None, object), ValueError, "dtype"),
        (read_only, ValueError, "read-only"),
        (np.lib.stride_tricks.as_strided(np.full(900, 9, "i2"), shape, (2, 2, 2)), ValueError, "strides"),
    ]
    for out, error, message in refused:
        before = out.copy()
        with pytest.raises(error, match=message):
            ct.read(start, shape, out=out)
        np.testing.assert_array_equal(out, before)
    with pytest.raises(TypeError, match="array or a tensor"):
        ct.read(start, shape, out=bytearray(420))


def test_batches_are_read_in_one_call(ct, dense):
    random = np.random.default_rng(5)
    shape = (6, 7, 8)
    limits = [n - m + 1 for n, m in zip(SHAPE, shape, strict=True)]
    starts = random.integers(0, limits, (9, 3))
    expected = np.stack([cut(dense, start, shape) for start in starts])
    for threads in (None, 1, 2):
        for given in (starts, starts.tolist(), tuple(map(tuple, starts))):
            found = ct.read_many(given, shape, threads=threads)
            np.testing.assert_array_equal(found, expected)
    for out in (np.zeros_like(expected), np.zeros_like(expected)[::-1], np.zeros((9, 8, 7, 6), "i2").swapaxes(1, 3)):
        assert ct.read_many(starts, shape, out=out) is out
        np.testing.assert_array_equal(out, expected)
    assert ct.read_many(np.empty((0, 3), int), shape).shape == (0, *shape)
    with pytest.raises(IndexError):
        ct.read_many([(0, 0, 0), (-1, 0, 0)], shape)
    interlocked = np.zeros((6, 9, 7, 8), "i2").swapaxes(0, 1)
    with pytest.raises(ValueError, match="within one another"):
        ct.read_many(starts, shape, out=interlocked)


def test_batches_of_channels(store):
    mr, dense = voxpatch.open(store)["case01/mr"], channels()
    found = mr.read_many([(0, 0, 0), (1, 2, 3)], 8)
    np.testing.assert_array_equal(found[1], dense[:, 1:9, 2:10, 3:11])


def test_xyz_is_the_same_memory_with_its_axes_reversed(store, dense):
    ct = voxpatch.open(store, axes="xyz")["case01/ct"]
    turned = dense.transpose()
    assert (ct.shape, ct.chunks) == (turned.shape, (8, 8, 4))
    assert ct.spacing == pytest.approx((0.6, 0.7, 3.0))
    patch = ct.read((4, 3, 2), (7, 6, 5))
    np.testing.assert_array_equal(patch, cut(turned, (4, 3, 2), (7, 6, 5)))
    assert patch.flags.f_contiguous
    np.testing.assert_array_equal(ct[5:9, 2, ::-3], turned[5:9, 2, ::-3])
    out = np.empty((7, 6, 5), "i2")
    np.testing.assert_array_equal(ct.read((4, 3, 2), (7, 6, 5), flip=0, out=out), patch[::-1])
    np.testing.assert_array_equal(ct.read_many([(4, 3, 2)], (7, 6, 5))[0], patch)
    mr = voxpatch.open(store, axes="xyz")["case01/mr"]
    assert mr.shape == (3, *SHAPE[::-1])
    np.testing.assert_array_equal(mr[1:, 3:5], channels().transpose(0, 3, 2, 1)[1:, 3:5])


def test_labels_are_read_as_they_are(store):
    np.testing.assert_array_equal(voxpatch.open(store)["case01/label"], labels())


def test_memory_that_cannot_be_had_is_an_exception(ct):
    with pytest.raises((MemoryError, ValueError)):
        ct.read((0, 0, 0), (10**6, 10**6, 10**6), pad=0)
    with pytest.raises((MemoryError, ValueError)):
        ct.read((0, 0, 0), (10**5, 10**5, 10**5), pad=0)


def test_large_reads_are_made_in_parts_and_end_at_ctrl_c(tmp_path):
    dense = np.random.default_rng(0).integers(-99, 99, (80, 600, 900)).astype("int16")
    options = {"chunk": (8, 64, 64), "shard": (80, 640, 960), "codec": "none", "progress": False}
    voxpatch.convert(dense, tmp_path / "s", "a/b", **options)
    volume = voxpatch.open(tmp_path / "s")["a/b"]
    np.testing.assert_array_equal(volume, dense)
    np.testing.assert_array_equal(volume[::-1], dense[::-1])
    out = np.empty(dense.shape, "int16")[::-1, :, ::-1]
    volume.read((0, 0, 0), dense.shape, out=out, flip=(0, 1))
    np.testing.assert_array_equal(out, dense[::-1, ::-1])
    starts = [(z, 0, 0) for z in (0, 20, 40, 60)]
    found = volume.read_many(starts, (20, 600, 900), threads=2)
    np.testing.assert_array_equal(found.reshape(dense.shape), dense)

    def interrupted(signum, frame):
        raise KeyboardInterrupt

    # The signal comes during the first part; the last one is not read any more.
    before = signal.signal(signal.SIGALRM, interrupted)
    try:
        for read, shape in (
            (lambda out: volume.read((0, 0, 0), dense.shape, out=out), dense.shape),
            (lambda out: volume.read_many(starts, (20, 600, 900), out=out), (4, 20, 600, 900)),
        ):
            out = np.full(shape, 9999, "int16")
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.0005)
                read(out)
            assert (out.reshape(dense.shape)[-1] == 9999).all()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_start_beyond_all_numbers_is_an_exception(ct):
    for start in (2**63 - 1, 2**63 - 9):
        with pytest.raises(voxpatch.VoxpatchError):
            ct.read((start, 0, 0), (4000, 200, 100), pad=0)
    with pytest.raises(TypeError, match="start"):
        ct.read((2**63, 0, 0), 4, pad=0)
