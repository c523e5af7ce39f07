"""Where patches lie."""

import pickle
from collections import Counter

import numpy as np
import pytest
import voxpatch
from conftest import LAYOUT, SHAPE, labels
from nifti import write_nifti

PATCH = (5, 6, 7)


def axis_starts(length, patch, overlap):
    """The starts along an axis as TorchIO's `GridSampler` computes them."""
    starts = list(range(0, length + 1 - patch, patch - overlap))
    if starts[-1] != length - patch:
        starts.append(length - patch)
    return starts


@pytest.mark.parametrize("overlap", [0, 2, (1, 4, 2), (0, 0, 6)])
def test_grids_are_those_of_torchio(ct, overlap):
    by = np.broadcast_to(overlap, 3)
    lines = [axis_starts(*numbers) for numbers in zip(SHAPE, PATCH, by, strict=True)]
    expected = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 3)
    sampler = voxpatch.GridSampler(PATCH, overlap)
    np.testing.assert_array_equal(sampler.starts(ct), expected)
    np.testing.assert_array_equal(sampler.starts(SHAPE), expected)
    regions = sampler.prepare(ct)
    assert regions.count == len(expected)
    np.testing.assert_array_equal(regions.draw_many(range(len(expected))), expected)
    assert regions.draw(3).choice == ("grid", 3)


def test_overlaps_may_be_fractions(ct):
    some = voxpatch.GridSampler((6, 6, 8), 0.5).starts(ct)
    np.testing.assert_array_equal(some, voxpatch.GridSampler((6, 6, 8), (3, 3, 4)).starts(ct))
    with pytest.raises(voxpatch.errors.InvalidArgumentError):
        voxpatch.GridSampler(PATCH, 1.5)


def test_uniform_draws_reach_every_place_and_no_other(ct):
    sampler = voxpatch.UniformSampler((19, 33, 44))
    starts = sampler.prepare(ct).draw_many(range(400), seed=3)
    assert {tuple(start) for start in starts} == {
        (z, y, x) for z in range(3) for y in range(2) for x in range(2)
    }


def test_draws_follow_from_seed_epoch_and_index(ct):
    regions = voxpatch.UniformSampler(PATCH).prepare(ct)
    many = regions.draw_many(range(50), seed=1, epoch=2)
    np.testing.assert_array_equal(regions.draw_many([7, 3], seed=1, epoch=2), many[[7, 3]])
    assert regions.draw(7, seed=1, epoch=2).start == tuple(many[7])
    for other in ({"seed": 2, "epoch": 2}, {"seed": 1, "epoch": 3}):
        assert (regions.draw_many(range(50), **other) != many).any()


def test_labels_are_drawn_by_their_weights(store):
    volume = voxpatch.open(store)["case01/label"]
    dense, patch = labels(), (3, 3, 3)
    regions = voxpatch.LabelSampler(patch, {1: 1, 2: 3}).prepare(volume)
    drawn = Counter()
    for n in range(400):
        sample = regions.draw(n)
        kind, label = sample.choice
        assert kind == "class" and dense[tuple(s + 1 for s in sample.start)] == label
        drawn[label] += 1
    assert 230 < drawn[2] < 370
    by_voxel = voxpatch.LabelSampler(patch, {1: 1, 2: 1}, by="voxel").prepare(volume)
    assert sum(by_voxel.draw(n).choice == ("class", 2) for n in range(400)) < 20


def test_foreground_is_drawn_in_its_share(store):
    volume = voxpatch.open(store)["case01/label"]
    dense = labels()
    for sampler, least, most in (
        (voxpatch.ForegroundSampler((1, 1, 1), pos=3, neg=1), 0.65, 0.85),
        (voxpatch.ForegroundSampler((1, 1, 1), pos=0, neg=1), 0, 0),
        (voxpatch.ForegroundSampler((1, 1, 1), oversample=1), 1, 1),
    ):
        starts = sampler.prepare(volume).draw_many(range(300))
        share = (dense[tuple(starts.T)] > 0).mean()
        assert least <= share <= most


def test_weights_are_followed(tmp_path):
    weights = np.zeros(SHAPE, "float32")
    weights[3, 4, 5], weights[10, 11, 12] = 1, 3
    voxpatch.convert(weights, tmp_path / "s", "a/w", kind="weights", **LAYOUT)
    volume = voxpatch.open(tmp_path / "s")["a/w"]
    starts = voxpatch.WeightedSampler((1, 1, 1)).prepare(volume).draw_many(range(400))
    counts = Counter(map(tuple, starts.tolist()))
    assert counts.keys() == {(3, 4, 5), (10, 11, 12)} and 230 < counts[(10, 11, 12)] < 370


def test_triples_are_in_the_order_of_the_store(store):
    for name, sampler in (
        ("case01/ct", voxpatch.GridSampler(PATCH[::-1], (2, 4, 1))),
        ("case01/ct", voxpatch.UniformSampler(PATCH[::-1])),
    ):
        xyz = sampler.prepare(voxpatch.open(store, axes="xyz")[name])
        turned = type(sampler)(PATCH, *([(1, 4, 2)] if "Grid" in type(sampler).__name__ else []))
        zyx = turned.prepare(voxpatch.open(store)[name])
        np.testing.assert_array_equal(xyz.draw_many(range(9)), zyx.draw_many(range(9))[:, ::-1])
        assert xyz.draw(0).shape == PATCH[::-1]


def test_samplers_are_values():
    samplers = [
        voxpatch.UniformSampler(32), voxpatch.UniformSampler((32, 32, 32)),
        voxpatch.LabelSampler((1, 2, 3), {1: 2.0}), voxpatch.WeightedSampler((1, 2, 3)),
        voxpatch.ForegroundSampler((1, 2, 3), oversample=0.33), voxpatch.GridSampler(8, 0.5),
    ]  # fmt: skip
    assert samplers[0] == samplers[1] and len(set(samplers)) == len(samplers) - 1
    weights = {2: 1.0, 1: 2.0}
    label = voxpatch.LabelSampler(4, weights)
    assert label == voxpatch.LabelSampler(4, {1: 2.0, 2: 1.0})
    assert hash(label) == hash(voxpatch.LabelSampler(4, {1: 2.0, 2: 1.0}))
    weights[3] = 1.0
    assert label.weights == {1: 2.0, 2: 1.0}, "a copy"
    grids = [voxpatch.GridSampler(4, overlap) for overlap in (2, (2, 2, 2), [2, 2, 2])]
    assert len(set(grids)) == 1
    for sampler in samplers:
        assert pickle.loads(pickle.dumps(sampler)) == sampler
    assert repr(samplers[0]) == "UniformSampler(patch=(32, 32, 32), pad_small_volumes=False)"


def test_samplers_that_make_no_sense_are_refused(ct, store):
    for make in (
        lambda: voxpatch.UniformSampler(0),
        lambda: voxpatch.LabelSampler(4, {1: -1.0}),
        lambda: voxpatch.LabelSampler(4, by="chance"),
        lambda: voxpatch.LabelSampler(4, border="torn"),
        lambda: voxpatch.GridSampler(4, 4),
        lambda: voxpatch.GridSampler(4, traversal="hilbert"),
    ):
        with pytest.raises(voxpatch.VoxpatchError):
            make()
    with pytest.raises(voxpatch.errors.InvalidArgumentError):
        voxpatch.UniformSampler(64).prepare(ct)
    with pytest.raises(voxpatch.VoxpatchError):
        voxpatch.LabelSampler(4).prepare(ct)
    label = voxpatch.open(store)["case01/label"]
    with pytest.raises(voxpatch.errors.InvalidArgumentError):
        voxpatch.LabelSampler(4, {9: 1.0}).prepare(label)


def test_an_index_is_built_again(tmp_path):
    voxpatch.convert(write_nifti(tmp_path / "a.nii", labels()), tmp_path / "s", "a/b", kind="label", **LAYOUT)
    (index,) = (tmp_path / "s").rglob("sampling.json")
    dataset = voxpatch.open(tmp_path / "s")
    before = voxpatch.LabelSampler(4).prepare(dataset["a/b"]).draw_many(range(20))
    index.unlink()
    with pytest.raises(voxpatch.VoxpatchError):
        voxpatch.LabelSampler(4).prepare(dataset["a/b"])
    dataset.build_index("a/b", progress=False)
    after = voxpatch.LabelSampler(4).prepare(dataset["a/b"]).draw_many(range(20))
    np.testing.assert_array_equal(before, after)
