"""Indexing is numpy's."""

import numpy as np
import pytest
import voxpatch
from conftest import SHAPE, channels

ITEMS = [
    0, -1, 7, np.int64(3), slice(None), slice(3, 9), slice(None, None, -1), slice(2, None, 5),
    slice(19, 3, -4), slice(5, 5), slice(9, 3), slice(-4, 100), slice(100, None), slice(0, 1),
]  # fmt: skip


def same(found, expected):
    np.testing.assert_array_equal(found, expected)
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape


def test_any_basic_index_gives_what_numpy_gives(ct, dense):
    random = np.random.default_rng(1)
    for _ in range(300):
        index = tuple(ITEMS[n] for n in random.integers(0, len(ITEMS), random.integers(0, 4)))
        if random.random() < 0.3:
            at = int(random.integers(0, len(index) + 1))
            index = (*index[:at], ..., *index[at:])
        same(ct[index], dense[index])
    for item in ITEMS:
        same(ct[item], dense[item])
    same(ct[...], dense)
    same(ct[3, 4, 5], dense[3, 4, 5])


def test_channels_and_times_are_indexed_too(store):
    dense = channels()
    random = np.random.default_rng(2)
    for name in ("case01/mr", "case02/bold"):
        volume = voxpatch.open(store)[name]
        for _ in range(60):
            first = [0, -1, slice(None), slice(None, None, -1), slice(0, 3, 2), slice(1, 1)]
            index = (first[random.integers(0, len(first))],)
            index += tuple(ITEMS[n] for n in random.integers(0, len(ITEMS), 3))
            same(volume[index], dense[index])
        same(volume[:, 3:7, ::-1], dense[:, 3:7, ::-1])


def test_arrays_are_fresh(ct):
    patch = ct[3:5]
    assert patch.flags.writeable and patch.flags.c_contiguous
    patch[:] = 0
    assert ct[3:5].any()


def test_indices_that_are_none_are_refused(ct, dense):
    for wrong in (SHAPE[0], -SHAPE[0] - 1, (0, 99), (0, 0, 0, 0), (..., ...)):
        with pytest.raises(IndexError):
            dense[wrong]
        with pytest.raises(IndexError):
            ct[wrong]
    for wrong in ([1, 2], None, True, np.array([1, 2]), 1.5, "a", dense > 0):
        with pytest.raises(TypeError, match="indexed by whole numbers"):
            ct[wrong]
    with pytest.raises(ValueError, match="zero"):
        ct[::0]
    with pytest.raises(TypeError, match="index by index"):
        iter(ct)


def test_an_array_of_all_voxels(ct, dense):
    same(np.asarray(ct), dense)
    same(np.asarray(ct, dtype="f4"), dense.astype("f4"))
    assert np.array(ct).flags.writeable
    assert float(np.mean(ct)) == pytest.approx(dense.mean())
