"""Counterparts of TorchIO's queue, grid sampler and aggregator: the results of TorchIO's own."""

import itertools
import warnings
from collections import Counter

import numpy as np
import pytest
import voxpatch
from conftest import LAYOUT, SHAPE, labels, scan

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    tio = pytest.importorskip("torchio")
    own = pytest.importorskip("voxpatch.torchio")
if int(tio.__version__.split(".")[0]) > 1:
    pytest.skip("of TorchIO 1", allow_module_level=True)

from voxpatch.torch import LazyTensor, materialising

XYZ = SHAPE[::-1]
PATCH = (8, 12, 4)

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:DeprecationWarning")


def dense_subject(many, name):
    """A subject of dense tensors."""
    case = int(name[-1])
    affine = many[name]["ct"].affine
    ct = torch.from_numpy(scan(SHAPE, seed=case).astype("f4").T.copy())[None]
    label = torch.from_numpy(labels().T.copy())[None]
    return tio.Subject(
        name=name,
        ct=tio.ScalarImage(tensor=ct, affine=affine),
        label=tio.LabelMap(tensor=label, affine=affine),
    )


def same(found, expected):
    assert torch.equal(found["location"], expected["location"])
    for image in ("ct", "label"):
        a, b = found[image], expected[image]
        assert type(a) is type(b) and type(a.data) is torch.Tensor
        assert a.data.dtype == b.data.dtype and torch.equal(a.data, b.data)
        np.testing.assert_allclose(a.affine, b.affine)


def cut(subject, location):
    """The patch that TorchIO's own sampler cuts out there."""
    start = tuple(location[:3].tolist())
    return tio.UniformSampler(PATCH).extract_patch(subject, start)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_queue_gives_torchios_patches(many, workers):
    queue = own.Queue(many, 10, 3, tio.UniformSampler(PATCH), num_workers=workers, seed=1)
    assert len(queue) == queue.iterations_per_epoch == 15
    epochs = [[queue[0] for _ in range(15)] for _ in range(2)]
    assert queue.epoch == 1
    for patches in epochs:
        assert Counter(patch["name"] for patch in patches) == dict.fromkeys(many, 3)
        for patch in patches:
            same(patch, cut(dense_subject(many, patch["name"]), patch["location"]))
    places = [[tuple(p["location"].tolist()) for p in patches] for patches in epochs]
    assert places[0] != places[1]
    queue.set_epoch(0)
    assert [tuple(queue[0]["location"].tolist()) for _ in range(15)] == places[0]


def test_loaders_of_torchio_take_the_queue(many):
    queue = own.Queue(many, 10, 3, tio.UniformSampler(PATCH), images=["ct"], seed=1)
    loader = tio.SubjectsLoader(queue, batch_size=4)
    shapes = [tuple(batch["ct"][tio.DATA].shape) for batch in loader]
    assert shapes == [(4, 1, *PATCH)] * 3 + [(3, 1, *PATCH)]
    batch = next(iter(loader))
    assert batch[tio.LOCATION].shape == (4, 6) and set(batch) >= {"ct", "name"}
    assert "label" not in batch
    workers = tio.SubjectsLoader(queue, batch_size=4, num_workers=1, multiprocessing_context="fork")
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="num_workers"):
        next(iter(workers))


def test_label_samplers_look_for_labels(many):
    sampler = tio.LabelSampler(PATCH, label_name="label", label_probabilities={1: 0, 2: 1})
    queue = own.Queue(many, 10, 20, sampler, shuffle_patches=False, seed=3)
    patches = [queue[0] for _ in range(100)]
    assert all((patch["label"].data == 2).any() for patch in patches)
    # TorchIO draws around the same voxels: the places that it can reach.
    reached = set()
    for patch in sampler(dense_subject(many, "case0"), 60):
        reached.add(tuple(patch["location"].tolist()))
    found = {tuple(patch["location"].tolist()) for patch in patches}
    assert found == reached
    # The first label map, as of TorchIO.
    everywhere = tio.LabelSampler(PATCH)
    queue = own.Queue(many, 10, 5, everywhere, seed=3)
    middle = tuple(length // 2 for length in PATCH)
    assert all(queue[0]["label"].data[0][middle] > 0 for _ in range(25))


def test_transforms_and_states_go_along(many):
    flip = tio.Flip(axes=0)
    plain = own.Queue(many, 10, 3, tio.UniformSampler(PATCH), seed=1)
    flipped = own.Queue(many, 10, 3, tio.UniformSampler(PATCH), seed=1, transform=flip)
    for _ in range(4):
        same(flipped[0], flip(plain[0]))
    resumed = own.Queue(many, 10, 3, voxpatch.UniformSampler(PATCH), num_workers=0, seed=1)
    resumed.load_state_dict(plain.state_dict())
    for _ in range(13):
        same(resumed[0], plain[0])
    assert own.Queue(many, 10, 3, tio.UniformSampler(PATCH), images="ct")[0].get_images_names() == ["ct"]
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="max_length"):
        own.Queue(many, -1, 3, tio.UniformSampler(PATCH))
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="WeightedSampler"):
        own.Queue(many, 10, 3, tio.WeightedSampler(PATCH, "label"))


PADS = [None, 0, -1000.0, "edge", "reflect"]


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("overlap", [(2, 4, 2), 0])
def test_grids_are_torchios(many, pad, overlap):
    with materialising(False):
        found = own.GridSampler(many["case1"], PATCH, overlap, pad)
        patches = list(found())
        again = found[len(found) - 1]
    dense = dense_subject(many, "case1")
    if pad == -1000:
        # A number that no label has: label maps get 0.
        dense["ct"].set_data(dense["ct"].data + 1000)
        expected = tio.GridSampler(dense, PATCH, overlap, 0)
        for patch in patches:
            patch["ct"].set_data(patch["ct"].data + 1000)
    else:
        expected = tio.GridSampler(dense, PATCH, overlap, pad)
    assert len(found) == len(expected) == len(patches)
    for number, patch in enumerate(patches):
        same(patch, expected[number])
    assert torch.equal(again["label"].data, patches[-1]["label"].data)
    with pytest.raises(voxpatch.errors.InvalidArgumentError):
        found(num_patches=3)


def test_a_grid_can_be_read_by_workers(many):
    grid = own.GridSampler(many["case1"], PATCH, (2, 4, 2), images=["ct"])
    loader = tio.SubjectsLoader(grid, batch_size=8, num_workers=2, multiprocessing_context="spawn")
    expected = tio.SubjectsLoader(tio.GridSampler(dense_subject(many, "case1"), PATCH, (2, 4, 2)), batch_size=8)
    for a, b in zip(loader, expected, strict=True):
        assert torch.equal(a["ct"][tio.DATA], b["ct"][tio.DATA])
        assert torch.equal(a[tio.LOCATION], b[tio.LOCATION])


@pytest.fixture
def one(tmp_path):
    voxpatch.convert(scan(SHAPE, seed=1), tmp_path / "s", "case1/ct", **LAYOUT)
    return voxpatch.open(tmp_path / "s")


def predictions(grid, factor=1):
    torch.manual_seed(5)
    for patches in tio.SubjectsLoader(grid, batch_size=3):
        shape = [length // factor for length in PATCH]
        yield torch.randn(len(patches["location"]), 2, *shape), patches["location"]


@pytest.mark.parametrize("mode", ["crop", "average", "hann"])
@pytest.mark.parametrize("pad", [None, "edge"])
def test_aggregated_predictions_are_torchios(one, mode, pad):
    grid = own.GridSampler(one["case1"], PATCH, (4, 6, 2), pad)
    found = own.GridAggregator(grid, "case1/scores", mode)
    affine = one["case1/ct"].affine
    ct = torch.from_numpy(scan(SHAPE, seed=1).astype("f4").T.copy())[None]
    dense = tio.Subject(ct=tio.ScalarImage(tensor=ct, affine=affine))
    expected = tio.GridAggregator(tio.GridSampler(dense, PATCH, (4, 6, 2), pad), mode)
    for batch, locations in predictions(grid):
        found.add_batch(batch, locations)
        expected.add_batch(batch, locations)
    tensor = found.get_output_tensor()
    assert isinstance(tensor, LazyTensor) and tensor.shape == (2, *XYZ)
    assert torch.allclose(tensor.clone(), expected.get_output_tensor(), atol=0 if mode == "crop" else 1e-5)
    volume = voxpatch.open(one.store)["case1/scores"]
    np.testing.assert_allclose(volume.affine, affine)
    assert found.finish().name == volume.name


def test_patches_may_come_in_any_order_and_none_may_be_missing(one):
    grid = own.GridSampler(one["case1"], PATCH, (4, 6, 2))
    batches = list(predictions(grid))
    found = own.GridAggregator(grid, "case1/scores")
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="no predictions"):
        found.finish()
    for batch, locations in reversed(batches[1:]):
        found.add_batch(batch, locations)
    with pytest.raises(voxpatch.errors.IncompleteError):
        found.get_output_tensor()
    assert "case1/scores" not in one
    with pytest.raises(voxpatch.errors.VoxpatchError):
        found.add_batch(*batches[1])
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="no patch of the sampler"):
        found.add_batch(batches[0][0], batches[0][1] + 1)
    found.add_batch(*batches[0])
    backwards = found.get_output_tensor().clone()
    forwards = own.GridAggregator(grid, "case1/again")
    for batch in batches:
        forwards.add_batch(*batch)
    assert torch.equal(forwards.get_output_tensor().clone(), backwards)


def test_classes_and_networks_with_a_stride(one):
    grid = own.GridSampler(one["case1"], PATCH, (4, 6, 2))
    classes = own.GridAggregator(grid, voxpatch.Output("case1/classes", "argmax"), "hann")
    scores = own.GridAggregator(grid, "case1/scores", "hann")
    for batch in predictions(grid):
        classes.add_batch(*batch)
        scores.add_batch(*batch)
    found, expected = classes.get_output_tensor().clone(), scores.get_output_tensor().clone()
    assert found.dtype == torch.uint8 and torch.equal(found[0], expected.argmax(0).byte())
    coarse = own.GridAggregator(grid, "case1/coarse", "crop", downsampling_factor=2)
    for batch in predictions(grid, 2):
        coarse.add_batch(*batch)
    assert coarse.get_output_tensor().shape == (2, *(length // 2 for length in XYZ))


def test_arguments_that_make_no_sense_are_refused(one):
    for pad, overlap in itertools.product(["mean", True], [0]):
        with pytest.raises(voxpatch.errors.InvalidArgumentError, match="padding_mode"):
            own.GridSampler(one["case1"], PATCH, overlap, pad)
    with pytest.raises(ValueError, match="even"):
        own.GridSampler(one["case1"], PATCH, 3)
    with pytest.raises(ValueError, match="larger"):
        own.GridSampler(one["case1"], 60)
    grid = own.GridSampler(one["case1"], PATCH)
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="crop"):
        for batch in predictions(grid):
            own.GridAggregator(grid, "case1/scores", "sum").add_batch(*batch)
