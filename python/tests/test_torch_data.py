"""Patches for a DataLoader: the same for any number of workers, and not copied on the way."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import voxpatch
from conftest import LAYOUT, SHAPE, labels, scan
from nifti import write_nifti

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader
from voxpatch.torch import PatchDataset, PatchIterable, PatchLoader, collate

PATCH = (5, 6, 7)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]


@pytest.fixture
def patches(many):
    sampler = voxpatch.UniformSampler(PATCH)
    images = {"ct": {"scaled": True}, "label": {}}
    return PatchDataset(many, sampler, images, patches_per_subject=3, seed=7)


def batches(patches, **options):
    loader = DataLoader(patches, batch_size=4, collate_fn=collate, **options)
    return list(loader)


def same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.keys() == b.keys() and a["subject"] == b["subject"]
        for key in ("ct", "label", "start", "affine"):
            assert a[key].dtype == b[key].dtype and torch.equal(a[key], b[key])


def test_patches_are_those_of_their_subject_at_their_start(patches, many):
    assert len(patches) == 15
    for n in range(15):
        item = patches[n]
        assert item["subject"] == f"case{n // 3}"
        region = tuple(slice(s, s + p) for s, p in zip(item["start"].tolist(), PATCH, strict=True))
        dense = scan(SHAPE, seed=n // 3)[region].astype("f4")
        assert item["ct"].shape == (1, *PATCH) and item["ct"].dtype == torch.float32
        np.testing.assert_array_equal(item["ct"][0], dense)
        np.testing.assert_array_equal(item["label"][0], labels()[region])
        zyx = item["start"].numpy()
        volume = many[item["subject"]]["ct"]
        expected = volume.affine @ np.array([*zyx[::-1], 1.0])
        np.testing.assert_allclose(item["affine"].numpy()[:, 3], expected)
    assert patches[-1]["subject"] == "case4"
    with pytest.raises(IndexError):
        patches[15]
    starts = {tuple(patches[n]["start"].tolist()) for n in range(15)}
    assert len(starts) > 10, "subjects do not get the same places"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_batches_are_the_same_for_any_number_of_workers(patches, method):
    expected = batches(patches)
    assert [len(batch["subject"]) for batch in expected] == [4, 4, 4, 3]
    for workers in (1, 2, 3):
        found = batches(patches, num_workers=workers, multiprocessing_context=method)
        same(found, expected)


def shared(batch):
    """Whether the tensors are shared before they are sent, which would copy others."""
    return [batch[image].is_shared() for image in ("ct", "label")]


def test_workers_read_into_memory_that_the_trainer_shares(patches):
    for workers in (0, 2):
        loader = DataLoader(patches, batch_size=4, collate_fn=shared, num_workers=workers)
        assert all(found == [workers > 0] * 2 for found in loader)


def test_an_epoch_reaches_workers_that_go_on(patches):
    loader = DataLoader(
        patches, batch_size=4, collate_fn=collate, num_workers=2, persistent_workers=True
    )
    first = list(loader)
    patches.set_epoch(1)
    second = list(loader)
    same(second, batches(patches))
    assert not torch.equal(first[0]["start"], second[0]["start"])
    patches.set_epoch(0)
    same(list(loader), first)


def test_a_resumed_loader_goes_on_with_the_same_patches(patches):
    expected = batches(patches)
    rest = DataLoader(
        torch.utils.data.Subset(patches, range(8, 15)), batch_size=4, collate_fn=collate
    )
    same(list(rest), expected[2:])


def test_items_are_put_together_like_batches(patches):
    items = [patches[n] for n in range(4)]
    same([collate(items)], batches(patches)[:1])


def test_jitter_moves_patches_and_keeps_them_inside(many):
    sampler = voxpatch.LabelSampler(PATCH, {2: 1})
    options = {"patches_per_subject": 20, "sample_by": "label"}
    most = np.subtract(PATCH, 1) // 2
    still = PatchDataset(many, sampler, ["ct", "label"], **options)
    moved = PatchDataset(many, sampler, ["ct", "label"], jitter=most, **options)
    for epoch in range(2):
        still.set_epoch(epoch)
        moved.set_epoch(epoch)
        starts = np.stack([moved[n]["start"] for n in range(60)])
        by = starts - np.stack([still[n]["start"] for n in range(60)])
        assert (by.min(0) == -most).all() and (by.max(0) == most).all()
        assert (starts >= 0).all() and (starts <= np.subtract(SHAPE, PATCH)).all()
        assert all((moved[n]["label"] == 2).any() for n in range(60))
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="jitter"):
        PatchDataset(many, sampler, "ct", jitter=max(PATCH))


def test_a_subject_that_is_converted_anew_is_read_anew(tmp_path):
    for seed in (1, 2):
        image = write_nifti(tmp_path / "a.nii", scan(SHAPE, seed=seed))
        voxpatch.convert(image, tmp_path / "s", "a/ct", overwrite=True, **LAYOUT)
        if seed == 1:
            sampler = voxpatch.UniformSampler(PATCH)
            patches = PatchDataset(voxpatch.open(tmp_path / "s"), sampler, "ct")
            # Opened, and no shard of it read: what was read stays readable.
            patches._subject("a")
    item = patches[0]
    region = tuple(slice(s, s + p) for s, p in zip(item["start"].tolist(), PATCH, strict=True))
    np.testing.assert_array_equal(item["ct"][0], scan(SHAPE, seed=2)[region])


def test_loaders_refuse_what_makes_no_sense(many):
    sampler = voxpatch.UniformSampler(PATCH)
    for size in (0, -1):
        with pytest.raises(voxpatch.errors.InvalidArgumentError, match="batch_size"):
            PatchLoader(many, sampler, "ct", size)
    for name in ("start", "affine", "subject"):
        with pytest.raises(voxpatch.errors.InvalidArgumentError, match=name):
            PatchLoader(many, sampler, ["ct", name], 2)


def test_arguments_that_make_no_sense_are_refused(many, tmp_path):
    sampler = voxpatch.UniformSampler(PATCH)
    for wrong in ({"images": []}, {"images": ["subject"]}, {"patches_per_subject": 0}):
        with pytest.raises(voxpatch.errors.InvalidArgumentError):
            PatchDataset(many, sampler, **{"images": ["ct"], **wrong})
    with pytest.raises(voxpatch.errors.NotFoundError, match="none"):
        PatchDataset(many, sampler, "none")[0]
    for name, shape in (("a/ct", SHAPE), ("a/label", (9, 9, 9))):
        image = write_nifti(tmp_path / "a.nii", scan(shape))
        voxpatch.convert(image, tmp_path / "s", name, **LAYOUT)
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="different grids"):
        PatchDataset(voxpatch.open(tmp_path / "s"), sampler, ["ct", "label"])[0]


def test_a_sampler_in_python_draws_places_and_raises_its_own_exceptions(many):
    class Corner:
        patch = PATCH

        def draw(self, shape, index, seed, epoch):
            if index == 1:
                raise LookupError("no such corner")
            return [0, index, epoch]

    patches = PatchDataset(many, Corner(), "ct", patches_per_subject=3)
    patches.set_epoch(4)
    assert patches[2]["start"].tolist() == [0, 2, 4]
    with pytest.raises(LookupError, match="no such corner"):
        patches[1]


def test_it_pickles_without_open_volumes(patches):
    patches[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert b"digest" not in pickle.dumps({k: v for k, v in patches.__getstate__().items() if k != "_epoch"})


def test_a_worker_that_is_killed_is_an_error_and_nothing_else_breaks(many):
    # In a process of its own: torch raises the error in whatever runs when it notices. That may be
    # its own first use of tempfile, which then stays locked, so that is used before.
    script = f"""
import tempfile, torch, voxpatch
tempfile.NamedTemporaryFile().close()
from torch.utils.data import DataLoader
from voxpatch.torch import PatchDataset, collate
patches = PatchDataset(
    voxpatch.open({many.store!r}), voxpatch.UniformSampler({PATCH}), "ct", patches_per_subject=4
)
options = dict(batch_size=2, collate_fn=collate, multiprocessing_context="fork")
expected = [batch["ct"] for batch in DataLoader(patches, batch_size=2, collate_fn=collate)]
dying = iter(DataLoader(patches, num_workers=2, **options))
assert torch.equal(next(dying)["ct"], expected[0])
try:
    for worker in dying._workers:
        worker.kill()
    list(dying)
except (RuntimeError, ConnectionError, EOFError):
    # The last two where the worker ended while it handed a batch over.
    print("noticed")
del dying
for found, batch in zip(DataLoader(patches, num_workers=1, **options), expected, strict=True):
    assert torch.equal(found["ct"], batch)
print("sound")
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True
    )
    assert done.stdout.split() == ["noticed", "sound"], done.stderr


def loader(many, **options):
    options = {"batch_size": 4, "patches_per_visit": 3, "seed": 5, **options}
    images = {"ct": {"scaled": True}, "label": {}}
    return PatchLoader(many, voxpatch.UniformSampler(PATCH), images, **options)


def test_a_loader_gives_the_patches_of_a_stream(many):
    found = list(loader(many, workers=2))
    assert len(found) == len(loader(many)) == 4 and len(found[-1]["subject"]) == 3
    assert len(list(loader(many, drop_last=True))) == len(loader(many, drop_last=True)) == 3
    stream = voxpatch.PatchStream(
        many, voxpatch.UniformSampler(PATCH), {"ct": {"scaled": True}}, patches_per_visit=3, seed=5
    )
    for batch, expected in zip(found, stream.batches(4), strict=True):
        assert batch["ct"].shape[1:] == (1, *PATCH) and batch["subject"] == expected.subjects
        np.testing.assert_array_equal(batch["ct"][:, 0], expected["ct"])
        np.testing.assert_array_equal(batch["start"], expected.starts)
        np.testing.assert_array_equal(batch["affine"], expected.affines)


def test_each_pass_of_a_loader_is_the_next_epoch(many):
    patches = loader(many)
    first, second = list(patches), list(patches)
    assert patches.epoch == 1 and not torch.equal(first[0]["start"], second[0]["start"])
    patches.sampler.set_epoch(0)
    same(list(patches), first)
    next(iter(patches))
    patches.set_epoch(1)
    same(list(patches), second)


def test_two_passes_at_a_time_are_an_error_and_not_a_mixture(many):
    patches = loader(many)
    with pytest.raises(RuntimeError, match="another pass"):
        list(zip(patches, patches, strict=True))
    assert [len(list(patches)) for _ in range(2)] == [4, 4]


def test_a_loader_is_resumed_in_the_middle(many):
    expected = list(loader(many, epoch=2))
    before = loader(many, epoch=2, workers=2)
    batches = iter(before)
    same([next(batches), next(batches)], expected[:2])
    state = before.state_dict()
    for workers in (0, 1, 3):
        after = loader(many, workers=workers)
        after.load_state_dict(state)
        same(list(after), expected[2:])
        assert after.epoch == 2 and len(list(after)) == 4 and after.epoch == 3
    # As Lightning does: the epoch is set again after its state was loaded.
    after = loader(many)
    after.load_state_dict(state)
    after.sampler.set_epoch(2)
    same(list(after), expected[2:])
    after.load_state_dict(state)
    after.sampler.set_epoch(1)
    assert len(list(after)) == 4 and after.epoch == 1
    done = loader(many)
    list(done)
    again = loader(many)
    again.load_state_dict(done.state_dict())
    assert list(again) == [], "the epoch was over"
    assert len(list(again)) == 4


def test_ranks_of_a_process_group_share_an_epoch(many, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    places = []
    for rank in range(2):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        patches = loader(many)
        places.append({
            (name, *start.tolist())
            for batch in patches
            for name, start in zip(batch["subject"], batch["start"], strict=True)
        })
        assert len(places[-1]) == 7 and len(patches) == 2
    assert not places[0] & places[1]
    given = loader(many, rank=0, world=3)
    assert sum(len(batch["subject"]) for batch in given) == 5, "what is given counts"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_patches_one_by_one_are_those_of_the_batches(many):
    images = {"ct": {"scaled": True}, "label": {}}
    options = {"patches_per_visit": 3, "seed": 5}
    patches = PatchIterable(many, voxpatch.UniformSampler(PATCH), images, **options)
    expected = [list(loader(many)), list(loader(many, epoch=1))]
    assert len(patches) == 15 and isinstance(patches, torch.utils.data.IterableDataset)
    for epoch in expected:
        same(list(DataLoader(patches, batch_size=4)), epoch)
    assert next(iter(patches))["ct"].shape == (1, *PATCH) and patches.epoch == 2
    patches.sampler.set_epoch(0)
    passing = iter(patches)
    for _ in range(4):
        next(passing)
    resumed = PatchIterable(many, voxpatch.UniformSampler(PATCH), images, **options)
    resumed.load_state_dict(patches.state_dict())
    same(list(DataLoader(resumed, batch_size=4)), expected[0][1:])
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="num_workers"):
        list(DataLoader(patches, num_workers=1, multiprocessing_context="fork"))


def test_lightning_and_torchdata_know_the_loader(many):
    patches = loader(many)
    assert callable(patches.state_dict) and callable(patches.sampler.set_epoch)
    assert patches.batch_size == 4
