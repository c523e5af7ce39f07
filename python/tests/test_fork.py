"""Processes that are made from one that has read: none hangs, and all read the same."""

import multiprocessing

import numpy as np
import pytest
import voxpatch
from conftest import child

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

STARTS = [(0, 0, 0), (5, 6, 7), (9, 10, 11), (2, 20, 30)]


def test_two_hundred_forked_children_read_what_the_parent_reads(ct, dense):
    expected = ct.read_many(STARTS, 8, threads=2)

    def work():
        np.testing.assert_array_equal(ct.read_many(STARTS, 8, threads=2), expected)
        np.testing.assert_array_equal(ct[3:5], dense[3:5])

    for n in range(200):
        if n % 20 == 0:
            ct.read_many(STARTS, 8, threads=2)
        assert child(work) == 0


def test_a_forked_child_forks_converts_and_exports(store, ct, tmp_path):
    ct.read_many(STARTS, 8, threads=2)

    def work():
        voxpatch.export(ct, tmp_path / "out.nii", threads=2, progress=False)
        copy = {"threads": 2, "progress": False}
        voxpatch.convert(tmp_path / "out.nii", tmp_path / "store", "a/b", **copy)
        np.testing.assert_array_equal(voxpatch.open(tmp_path / "store")["a/b"], ct)
        assert child(lambda: ct.read_many(STARTS, 8, threads=2)) == 0

    assert child(work) == 0


def read(volume, start):
    return volume.read(start, 8)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_pool_open_pickled_volumes(ct, method):
    expected = ct.read_many(STARTS, 8, threads=2)
    with multiprocessing.get_context(method).Pool(2) as pool:
        # A pool whose workers cannot start makes new ones for ever.
        found = pool.starmap_async(read, [(ct, start) for start in STARTS]).get(60)
    np.testing.assert_array_equal(np.stack(found), expected)
