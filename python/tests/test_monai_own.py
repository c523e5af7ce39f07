"""Counterparts of MONAI's mergers and datasets: the results of MONAI's own."""

import warnings

import numpy as np
import pytest
import voxpatch
from conftest import SHAPE, scan

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("monai")
    from monai.data import DataLoader, MetaTensor, decollate_batch, list_data_collate
    from monai.inferers import AvgMerger, PatchInferer, SlidingWindowSplitter
    from monai.transforms import Compose, LoadImaged, RandFlipd, ScaleIntensityd, SpatialCropd
    from voxpatch import monai as own

from voxpatch.torch import LazyTensor, materialising

PATCH = (5, 6, 7)
IMAGES = {"ct": {"scaled": True}, "label": {}}

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)


@pytest.fixture(params=["zyx", "xyz"])
def ct(request, tmp_path, dense):
    voxpatch.convert(dense, tmp_path / "s", "a/ct", chunk=(8, 16, 24), progress=False)
    return voxpatch.open(tmp_path / "s", axes=request.param)["a/ct"]


@pytest.fixture
def net():
    torch.manual_seed(0)
    return torch.nn.Conv3d(1, 2, 3, padding=1).eval()


def merged(ct, net, splitter, lazy=True, **options):
    inferer = PatchInferer(splitter, merger_cls=own.Merger, volume=ct, **options)
    with torch.no_grad(), materialising(False):
        return inferer(LazyTensor(ct, dtype="float32")[None] if lazy else ct, net)


def averaged(ct, net, splitter):
    inferer = PatchInferer(splitter, merger_cls=AvgMerger)
    with torch.no_grad():
        return inferer(torch.from_numpy(ct[...].astype("f4"))[None, None], net)


def close(found, expected):
    expected = expected[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.nanmax(np.abs(expected)))


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"overlap": 0.0, "pad_mode": "constant"},
        {"overlap": 0.25, "pad_mode": "constant"},
        {"overlap": (0.5, 0.0, 0.6), "pad_mode": "reflect"},
        {"overlap": 0.25, "pad_mode": "constant", "offset": (0, 3, 2)},
    ],
)
def test_a_merger_stores_what_monai_averages(ct, net, options, batch_size):
    splitter = SlidingWindowSplitter((8, 16, 16), **options)
    expected = averaged(ct, net, splitter)
    if np.isnan(expected.numpy()).any():
        # MONAI divides by 0 where the offset leaves voxels out.
        found = merged(ct, net, splitter, batch_size=batch_size, out="a/scores", fill=np.nan, non_finite="keep")
    else:
        found = merged(ct, net, splitter, batch_size=batch_size, out="a/scores")
    assert isinstance(found, voxpatch.Volume) and found.name == "a/scores"
    assert found.shape == (2, *ct.shape) and found.chunks == ct.chunks and found.axes == ct.axes
    close(found[...], expected)


def test_patches_of_a_grid_go_from_store_to_store(ct, net):
    dense, shape = ct[...], ct.shape
    grid = voxpatch.GridSampler((8, 16, 16), (2, 4, 6))
    found = merged(ct, net, own.GridSplitter(grid), lazy=False, batch_size=2, out="a/scores")
    total, count = np.zeros((2, *shape)), np.zeros(shape)
    for start in grid.starts(ct).tolist():
        box = tuple(slice(s, s + n) for s, n in zip(start, (8, 16, 16), strict=True))
        with torch.no_grad():
            total[:, *box] += net(torch.from_numpy(dense[box].astype("f4"))[None, None])[0].numpy()
        count[box] += 1
    close(found[...], torch.from_numpy(total / count)[None])
    borders = voxpatch.GridSampler((8, 16, 16), (2, 4, 6), pad_borders=True)
    splitter = own.GridSplitter(borders, pad="edge", normalise=voxpatch.Normalise(0.0, 100.0))
    assert merged(ct, net, splitter, lazy=False, out="a/more").shape == (2, *shape)


def test_several_outputs_become_several_volumes(ct, net):
    class Two(torch.nn.Module):
        def forward(self, patches):
            scores = net(patches)
            return scores, scores[:, :1] - 1

    splitter = SlidingWindowSplitter((8, 16, 16), overlap=0.25, pad_mode="constant")
    names = iter(["a/scores", voxpatch.Output("a/lower")])
    inferer = PatchInferer(splitter, merger_cls=own.Merger, volume=ct, out=names)
    with torch.no_grad():
        scores, lower = inferer(LazyTensor(ct, dtype="float32")[None], Two())
    close(scores[...], averaged(ct, net, splitter))
    assert lower.name == "a/lower"
    np.testing.assert_allclose(lower[...], scores[0] - 1, rtol=1e-5, atol=1e-4)
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="more outputs"):
        inferer(LazyTensor(ct, dtype="float32")[None], Two())


def test_classes_are_those_of_the_averages(ct, net):
    splitter = SlidingWindowSplitter((8, 16, 16), overlap=0.25, pad_mode="constant")
    scores = merged(ct, net, splitter, out="a/scores")
    classes = merged(ct, net, splitter, out=voxpatch.Output("a/classes", "argmax"))
    assert classes.kind == "label" and (classes[...] == scores[...].argmax(0)).all()


def test_after_an_exception_of_the_network_the_volume_can_be_made(ct, net):
    grid = own.GridSplitter(voxpatch.GridSampler((8, 16, 16), 4))

    def failing(patches):
        failing.calls += 1
        if failing.calls > 5:
            raise KeyError("no memory")
        return net(patches)

    failing.calls = 0
    with pytest.raises(KeyError):
        merged(ct, failing, grid, lazy=False, out="a/scores")
    assert "a/scores" not in voxpatch.open(ct.store)
    ones = merged(ct, torch.ones_like, grid, lazy=False, out="a/scores")
    assert (ones[...] == 1).all()
    with pytest.raises(voxpatch.errors.AlreadyExistsError):
        merged(ct, torch.ones_like, grid, lazy=False, out="a/scores")
    zeros = merged(ct, torch.zeros_like, grid, lazy=False, out="a/scores", overwrite=True)
    assert (zeros[...] == 0).all()


def test_what_a_merger_cannot_do_is_refused(ct):
    voxels = ct.shape
    shape = (1, 1, *voxels)
    refused = voxpatch.errors.InvalidArgumentError
    with pytest.raises(refused, match="batch of 2"):
        own.Merger((2, 1, *voxels), volume=ct, out="a/b")
    with pytest.raises(refused, match="output must be as large"):
        own.Merger((1, 1, 10, 17, 22), volume=ct, out="a/b")
    with pytest.raises(refused, match="out"):
        own.Merger(shape, volume=ct, out=3)
    patch = torch.ones(1, 1, *PATCH)
    late = own.Merger(shape, volume=ct, out="a/b")
    late.aggregate(torch.ones(1, 1, 8, *voxels[1:]), (0, 0, 0))
    late.aggregate(patch, (6, 0, 0))
    with pytest.raises(refused, match="ascending"):
        late.aggregate(patch, (2, 0, 0))
    holes = own.Merger(shape, volume=ct, out="a/b")
    holes.aggregate(patch, (0, 0, 0))
    with pytest.raises(voxpatch.errors.IncompleteError, match="no patch covers"):
        holes.finalize()
    with pytest.raises(voxpatch.errors.IncompleteError, match="no patch"):
        own.Merger(shape, volume=ct, out="a/c").finalize()
    assert "a/b" not in voxpatch.open(ct.store)
    filled = own.Merger(shape, volume=ct, out="a/b", fill=-2.0)
    filled.aggregate(patch, (6, 30, -2))
    # Wholly outside, before and behind.
    filled.aggregate(patch, (8, -9, 3))
    filled.aggregate(patch, (9, 4, 60))
    volume = filled.finalize()
    expected = np.full(voxels, -2.0, "f4")
    expected[6:11, 30 : min(36, voxels[1]), :5] = 1
    np.testing.assert_array_equal(volume[...], expected)
    assert filled.finalize() is volume
    with pytest.raises(refused, match="finalized"):
        filled.aggregate(patch, (6, 0, 0))


def crops(many, batch, number):
    """The same boxes of a case, by MONAI's transforms."""
    name, start = batch["subject"][number], batch["start"][number].tolist()
    if many.axes == "zyx":
        start = start[::-1]
    end = [s + n for s, n in zip(start, PATCH[::-1], strict=True)]
    load = LoadImaged(["ct", "label"], reader=own.VoxpatchReader(), ensure_channel_first=True)
    crop = SpatialCropd(["ct", "label"], roi_start=start, roi_end=end)
    return crop(load({image: f"{many.store}/{name}/{image}" for image in ("ct", "label")}))


def check(many, batch):
    """Every patch has the voxels and the millimetres of the box that MONAI crops."""
    for number in range(len(batch["subject"])):
        expected = crops(many, batch, number)
        for image in ("ct", "label"):
            tensor = batch[image][number]
            voxels, affine = tensor.as_tensor()[0], batch[image].affine[number]
            at = torch.tensor([1.0, 2.0, 3.0, 1.0], dtype=torch.float64)
            if many.axes == "zyx":
                voxels = voxels.permute(2, 1, 0)
                at = at[[2, 1, 0, 3]]
            assert torch.equal(voxels.float(), expected[image].as_tensor()[0].float())
            there = expected[image].affine.double() @ torch.tensor([1.0, 2.0, 3.0, 1.0]).double()
            torch.testing.assert_close(affine @ at, there, atol=1e-4, rtol=0)


@pytest.mark.parametrize("axes", ["zyx", "xyz"])
@pytest.mark.parametrize("workers", [0, 2])
def test_patches_are_monais_crops(many, axes, workers):
    many = voxpatch.open(many.store, axes=axes)
    sampler = voxpatch.UniformSampler(PATCH if axes == "zyx" else PATCH[::-1])
    dataset = own.PatchDataset(many, sampler, IMAGES, patches_per_subject=2, seed=4)
    options = {"multiprocessing_context": "fork"} if workers else {}
    loader = DataLoader(
        dataset, batch_size=4, num_workers=workers, collate_fn=own.collate, shuffle=True, **options
    )
    count = 0
    for batch in loader:
        assert isinstance(batch["ct"], MetaTensor) and batch["ct"].is_batch
        check(many, batch)
        count += len(batch["subject"])
    assert count == len(dataset) == 10
    for batch in own.PatchLoader(many, sampler, IMAGES, 4, patches_per_visit=2, seed=4):
        check(many, batch)


def test_batches_are_those_of_monais_collation(many):
    dataset = own.PatchDataset(many, voxpatch.UniformSampler(PATCH), IMAGES, seed=4)
    batch = dataset.__getitems__([0, 3, 1])
    expected = list_data_collate([dataset[index] for index in (0, 3, 1)])
    for image in IMAGES:
        found, other = batch[image], expected[image]
        assert torch.equal(found.as_tensor(), other.as_tensor())
        assert torch.equal(found.affine, other.affine) and found.is_batch == other.is_batch
        assert list(found.meta["filename_or_obj"]) == list(other.meta["filename_or_obj"])
    for item, name in zip(decollate_batch(batch), batch["subject"], strict=True):
        assert item["ct"].affine.shape == (4, 4) and not item["ct"].is_batch
        assert item["ct"].meta["filename_or_obj"].endswith(f"{name}/ct")


def test_transforms_of_monai_are_applied_to_patches(many):
    flip = Compose([RandFlipd(["ct", "label"], 1.0, 2), ScaleIntensityd("ct")])
    options = {"patches_per_subject": 2, "seed": 4}
    sampler = voxpatch.UniformSampler(PATCH)
    plain = own.PatchDataset(many, sampler, IMAGES, **options)
    moved = own.PatchDataset(many, sampler, IMAGES, transform=flip, **options)
    expected = [flip(plain[index]) for index in range(4)]
    (batch,) = DataLoader(
        torch.utils.data.Subset(moved, range(4)), batch_size=4, collate_fn=own.collate
    )
    for index in range(4):
        for image in IMAGES:
            assert torch.equal(batch[image][index].as_tensor(), expected[index][image].as_tensor())
            assert torch.equal(moved[index][image].as_tensor(), expected[index][image].as_tensor())
            torch.testing.assert_close(batch[image].affine[index], expected[index][image].affine)
    stream = {"patches_per_visit": 2, "seed": 4}
    loaded = own.PatchLoader(many, sampler, IMAGES, 4, transform=flip, **stream)
    for found, unmoved in zip(loaded, own.PatchLoader(many, sampler, IMAGES, 4, **stream), strict=True):
        again = list_data_collate([flip(item) for item in decollate_batch(unmoved)])
        assert torch.equal(found["ct"].as_tensor(), again["ct"].as_tensor())
        torch.testing.assert_close(found["ct"].affine, again["ct"].affine)


def test_scans_are_patches_too(many):
    (item,) = own.PatchDataset(many, voxpatch.UniformSampler(SHAPE), "ct", subjects=["case2"])
    assert torch.equal(item["ct"].as_tensor()[0], torch.from_numpy(scan(SHAPE, seed=2)))
