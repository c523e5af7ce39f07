"""Predictions against dense blends, in any order, stopped and resumed."""

import numpy as np
import pytest
import voxpatch
from conftest import LAYOUT, SHAPE, labels, scan
from voxpatch import Aggregator, GridSampler, Output, predict

PATCH, OVERLAP = (6, 10, 12), (2, 4, 6)
SAMPLER = GridSampler(PATCH, OVERLAP)
CLASSES = 3


@pytest.fixture
def store(tmp_path):
    voxpatch.convert(scan(SHAPE), tmp_path / "s", "a/ct", **LAYOUT)
    return voxpatch.open(tmp_path / "s")


def model(patches):
    """Scores that depend on the patch as a whole, so that overlapping ones differ."""
    assert patches.dtype == np.float32 and patches.ndim == 5
    base = patches / 1000 + patches.mean(axis=(1, 2, 3, 4), keepdims=True) / 500
    return np.concatenate([base, -base, np.abs(base) - 1], axis=1)


def window(length, kind):
    n = np.arange(length)
    if kind == "average":
        return np.ones(length)
    if kind == "hann":
        return np.sin(np.pi * (n + 1) / (length + 1)) ** 2
    return np.exp(-((n - (length - 1) / 2) ** 2) / (2 * (0.125 * length) ** 2))


def blended(dense, kind):
    """The dense blend: sums of weighted predictions over sums of weights."""
    z, y, x = (window(length, kind) for length in PATCH)
    weights = z[:, None, None] * y[:, None] * x
    if kind == "gaussian":
        weights = np.maximum(weights, max(weights.min(), 1e-3))
    sums, total = np.zeros((CLASSES, *SHAPE)), np.zeros(SHAPE)
    for start in SAMPLER.starts(SHAPE):
        region = tuple(slice(s, s + n) for s, n in zip(start, PATCH, strict=True))
        patch = dense[region].astype("f4")[None, None]
        sums[:, *region] += model(patch)[0] * weights
        total[region] += weights
    return sums / total


@pytest.mark.parametrize("kind", ["average", "hann", "gaussian"])
def test_blends_are_those_of_dense_sums(store, kind):
    ct = store["a/ct"]
    outputs = [Output("a/scores"), Output("a/classes", "argmax"), Output("a/some", "threshold:0.5")]
    report = predict(ct, model, outputs, SAMPLER, blend=kind, batch_size=3, progress=False)
    assert [output["name"] for output in report["outputs"]] == ["a/scores", "a/classes", "a/some"]
    expected = blended(scan(SHAPE), kind)
    np.testing.assert_allclose(store["a/scores"], expected, atol=2e-5, rtol=1e-5)
    scores = np.asarray(store["a/scores"])
    np.testing.assert_array_equal(store["a/classes"], scores.argmax(0))
    np.testing.assert_array_equal(store["a/some"], (scores >= 0.5).astype("u1"))
    assert store["a/classes"].kind == "label"
    np.testing.assert_array_equal(store["a/scores"].affine, ct.affine)


def test_the_identity_gives_the_image_back(store):
    for blend in ("crop", "average", "gaussian:0.25"):
        predict(store["a/ct"], lambda p: p, Output("a/same"), SAMPLER, blend=blend, overwrite=True)
        np.testing.assert_allclose(store["a/same"], scan(SHAPE), rtol=1e-5, atol=1e-3)


def test_order_threads_and_batches_make_no_difference(store):
    ct, digests = store["a/ct"], set()
    random = np.random.default_rng(0)
    for threads, size in ((1, 1), (2, 4), (1, 5)):
        output = Output("a/scores", "float32", CLASSES)
        with Aggregator(ct, SAMPLER, output, overwrite=True) as aggregator:
            assert len(aggregator) == len(SAMPLER.starts(ct)) == len(aggregator.remaining)
            numbers = random.permutation(aggregator.remaining)
            for n in range(0, len(numbers), size):
                some = numbers[n : n + size]
                patches = ct.read_many(aggregator.starts(some), PATCH, dtype="f4")[:, None]
                aggregator.add_many(some, model(patches), threads=threads)
            assert len(aggregator.remaining) == 0 and aggregator.memory()["peak"] > 0
        digests.add(store["a/scores"].digest)
    assert len(digests) == 1


def test_heads_and_strides(store):
    def two(patches):
        return patches, patches[..., ::2, ::2, ::2] * 2

    outputs = [Output("a/same"), Output("a/half", head=1, factor=2)]
    predict(store["a/ct"], two, outputs, GridSampler((6, 10, 12), (2, 4, 6)), blend="average")
    np.testing.assert_allclose(store["a/same"], scan(SHAPE), rtol=1e-5, atol=1e-3)
    half = store["a/half"]
    assert half.spatial_shape == (10, 17, 22) and half.spacing[0] == 2 * store["a/ct"].spacing[0]


def test_xyz_turns_patches_and_predictions(store):
    predict(store["a/ct"], model, Output("a/zyx"), SAMPLER)
    ct = voxpatch.open(store.store, axes="xyz")["a/ct"]

    def turned(patches):
        assert patches.shape[2:] == PATCH[::-1]
        return model(patches)

    predict(ct, turned, Output("a/xyz"), GridSampler(PATCH[::-1], OVERLAP[::-1]))
    np.testing.assert_allclose(store["a/xyz"], store["a/zyx"], atol=1e-4)


def test_a_model_that_raises_leaves_what_can_be_resumed(store):
    ct, calls = store["a/ct"], []
    whole = predict(ct, model, Output("a/whole", "uint8:0.02"), SAMPLER, non_finite=0)
    assert whole["patches"] == len(SAMPLER.starts(ct))
    predict(ct, model, Output("a/scores"), GridSampler(20))
    before = store["a/scores"].digest

    def failing(patches):
        calls.append(1)
        if len(calls) == 20:
            raise RuntimeError("out of memory")
        return model(patches)

    output = Output("a/scores", "uint8:0.02", CLASSES)
    options = {"overwrite": True, "batch_size": 2, "non_finite": 0}
    with pytest.raises(RuntimeError, match="out of memory") as kept:
        predict(ct, failing, output, SAMPLER, **options)
    # Its traceback keeps the aggregator, as in a notebook; the aggregation is let go all the same.
    assert kept.value.__traceback__ and not hasattr(kept.value, "__notes__")
    assert store["a/scores"].digest == before, "the old volume stays"
    assert store.unfinished() == [["a/scores"]]
    with pytest.raises(voxpatch.errors.UnfinishedError, match='unfinished="resume"'):
        predict(ct, model, output, SAMPLER, **options)
    calls.clear()

    def counted(patches):
        calls.append(len(patches))
        return model(patches)

    predict(ct, counted, output, SAMPLER, **options, unfinished="resume")
    assert sum(calls) < len(SAMPLER.starts(ct))
    assert store["a/scores"].digest == store["a/whole"].digest
    assert store.unfinished() == [] and store.sweep(0)["removed"] == []


def test_what_could_not_be_saved_is_noted_and_hides_nothing(store, monkeypatch):
    def full(aggregator):
        raise voxpatch.errors.IOError("no space left")

    def failing(patches):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Aggregator, "checkpoint", full)
    with pytest.raises(RuntimeError, match="out of memory") as found:
        predict(store["a/ct"], failing, Output("a/scores", "float32", CLASSES), SAMPLER)
    assert "no space left" in found.value.__notes__[0]


def test_an_exception_within_the_aggregator_is_not_hidden(store):
    output = Output("a/scores", "float32", 1)
    with pytest.raises(ZeroDivisionError), Aggregator(store["a/ct"], SAMPLER, output) as aggregator:
        aggregator.add(0, np.ones((1, *PATCH)))
        raise ZeroDivisionError
    # Let go, though the aggregator is still there.
    again = Aggregator(store["a/ct"], SAMPLER, output, unfinished="resume")
    assert len(again.remaining) == len(again) - 1
    again.close()
    for closed in (aggregator, again):
        with pytest.raises(RuntimeError, match="closed"):
            closed.add(1, np.ones((1, *PATCH)))
    assert store.discard_unfinished("a/scores") and store.unfinished() == []


def test_missing_predictions_are_named_and_may_be_filled(store):
    ct = store["a/ct"]
    output = Output("a/scores", "float32", CLASSES)
    aggregator = Aggregator(ct, SAMPLER, output, blend="average")
    for number in aggregator.remaining[5:].tolist():
        aggregator.add(number, model(np.ones((1, 1, *PATCH), "f4"))[0])
    missing = aggregator.remaining.tolist()
    assert len(missing) == 5
    for attempt in (aggregator.check_complete, aggregator.finish):
        with pytest.raises(voxpatch.errors.IncompleteError, match="5 patches"):
            attempt()
    assert aggregator.fill_missing(-7) == 5
    aggregator.finish()
    assert np.isfinite(store["a/scores"]).all()
    with pytest.raises(RuntimeError, match="finished"):
        aggregator.finish()


def test_predictions_that_do_not_fit_are_refused_and_change_nothing(store):
    ct = store["a/ct"]
    aggregator = Aggregator(ct, SAMPLER, Output("a/scores", "float32", CLASSES))
    right = model(np.ones((2, 1, *PATCH), "f4"))
    for numbers, wrong, error in (
        ([0, 1], right[:, :2], ValueError), ([0, 1], right[..., 1:], ValueError),
        ([0], right, ValueError), ([0, 0], right, ValueError), ([0, 10**6], right, ValueError),
        ([0, 1], right * np.nan, ValueError), ([0, 1], (right, right), ValueError),
        ([0, 1], right[0], TypeError), ([0, 1], "scores", TypeError), ([0, 1], right * 1j, TypeError),
        ([0, 1], right.astype(str), TypeError),
    ):  # fmt: skip
        with pytest.raises(error):
            aggregator.add_many(numbers, wrong)
    assert len(aggregator.remaining) == len(aggregator)
    aggregator.add_many([0, 1], right.astype("f8"))
    aggregator.add_many([2, 3], np.asfortranarray(right))
    with pytest.raises(ValueError, match="before"):
        aggregator.add_many([2, 4], right)
    assert len(aggregator.remaining) == len(aggregator) - 4
    with pytest.raises(TypeError, match="channels"):
        Aggregator(ct, SAMPLER, Output("a/more"))
    with pytest.raises(TypeError, match="GridSampler"):
        Aggregator(ct, voxpatch.UniformSampler(4), Output("a/more", channels=1))
    for wrong in ({"blend": "mean"}, {"unfinished": "go on"}, {"overwrite": "all"}, {"part": (3, 2)}):
        with pytest.raises(voxpatch.errors.InvalidArgumentError):
            Aggregator(ct, SAMPLER, Output("a/more", channels=1), **wrong)


def test_the_model_is_asked_once_for_each_patch(store):
    ct, calls = store["a/ct"], []

    def counted(patches):
        calls.append(len(patches))
        return model(patches)

    predict(ct, counted, Output("a/scores"), SAMPLER, batch_size=4)
    assert sum(calls) == len(SAMPLER.starts(ct))
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="head 1"):
        predict(ct, model, Output("a/more", head=1), SAMPLER)
    one = predict(ct, model, Output("a/one"), SAMPLER, channel=0)
    assert one["patches"] == sum(calls) and store["a/one"].digest == store["a/scores"].digest


def test_a_ground_truth_is_not_replaced_by_the_way(store):
    voxpatch.convert(labels(), store, "a/truth", kind="label", **LAYOUT)
    with pytest.raises(voxpatch.errors.NotPredictedError, match='overwrite="anything"'):
        predict(store["a/ct"], model, Output("a/truth", "argmax"), SAMPLER, overwrite=True)
    np.testing.assert_array_equal(store["a/truth"], labels())


def test_parts_make_the_same_volume(store):
    ct = store["a/ct"]
    layout = {"chunk": (8, 8, 8), "shard": (24, 40, 16)}
    predict(ct, model, Output("a/whole", **layout), SAMPLER)
    output = Output("a/parts", "float32", CLASSES, **layout)
    for n in range(3):
        predict(ct, model, output, SAMPLER, part=(n, 3), unfinished="resume")
    assert "a/parts" not in store
    voxpatch.finalise(store, "a/parts", progress=False)
    assert store["a/parts"].digest == store["a/whole"].digest
