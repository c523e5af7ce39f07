"""A tensor that lies on disk behaves as the dense one, and reads only what is sliced."""

import copy
import pickle

import numpy as np
import pytest
import voxpatch
from conftest import SHAPE, channels

torch = pytest.importorskip("torch")

from voxpatch.torch import LazyTensor, MaterialisedError, materialising

INDICES = [
    (0, slice(3, 9)), (slice(None), slice(3, 9)), (..., slice(2, 11, 3)), (0, slice(1, 5), 3),
    (slice(0, 1), 2, 3, 4), (None, 0, slice(4, 6)), (0, ..., 5), (slice(None), None, slice(1, 2)),
    (slice(0, 1), slice(7, 7)), (..., slice(-5, None)), (0, 1, 2, -3), (slice(None), slice(30, 99)),
    (0, None, slice(3, 8), ..., None),
]  # fmt: skip


def same(found, expected):
    assert type(found) is torch.Tensor and found.dtype == expected.dtype
    assert found.shape == expected.shape and torch.equal(found, expected)


@pytest.fixture(params=["zyx", "xyz"])
def axes(request):
    return request.param


@pytest.fixture
def pair(store, dense, axes):
    """A lazy tensor and the dense one."""
    whole = torch.from_numpy(dense if axes == "zyx" else np.ascontiguousarray(dense.T))
    return LazyTensor(voxpatch.open(store, axes=axes)["case01/ct"]), whole[None]


def test_slices_are_read_and_are_those_of_the_dense_tensor(pair):
    lazy, dense = pair
    with materialising(False):
        for index in INDICES:
            same(lazy[index], dense[index])
            same(lazy[None][None, ..., 1:2][0, 0], dense[..., 1:2])
        led = lazy.unsqueeze(0)
        assert isinstance(led, LazyTensor) and led.shape == (1, *dense.shape)
        same(led[0:1, :, 3:5], dense[None][0:1, :, 3:5])
        assert isinstance(lazy[...], LazyTensor) and isinstance(lazy[:], LazyTensor)
        for wrong in ((0, 99), (0, 0, 0, 0, 0), (0, 0, 99)):
            with pytest.raises(IndexError):
                lazy[wrong]
        with pytest.raises(ValueError, match="step"):
            lazy[..., ::-1]


def test_questions_are_answered_without_voxels(pair):
    lazy, dense = pair
    with materialising(False):
        for ask in (
            lambda t: t.shape, lambda t: t.ndim, lambda t: t.dtype, lambda t: t.device,
            lambda t: t.size(), lambda t: t.size(1), lambda t: t.dim(), lambda t: t.numel(),
            lambda t: t.element_size(), len, lambda t: t.is_floating_point(), lambda t: t.layout,
            lambda t: t.requires_grad, lambda t: t.is_cuda, lambda t: t.type(), torch.is_tensor,
        ):  # fmt: skip
            assert ask(lazy) == ask(dense)
        for keeps in (
            lambda t: t.contiguous(), lambda t: t.detach(), lambda t: t.cpu(), lambda t: t.clone(),
            lambda t: t.to("cpu"), lambda t: t.to(dense.dtype), lambda t: t.to(dense), copy.deepcopy,
            lambda t: t.to(device=torch.device("cpu"), dtype=dense.dtype), copy.copy,
        ):  # fmt: skip
            assert isinstance(keeps(lazy), LazyTensor)
        assert "case01/ct" in repr(lazy)


def test_everything_else_gives_what_the_dense_tensor_gives(pair):
    lazy, dense = pair
    for do in (
        lambda t: t + 1, lambda t: 1 - t, lambda t: t.float(), lambda t: t.sum(), torch.max,
        lambda t: torch.cat([t, t]), lambda t: torch.stack([t, t]), lambda t: t.permute(0, 3, 2, 1),
        lambda t: t.flip(1), lambda t: t[t > 0], lambda t: t[0, [1, 2]], lambda t: t[0], lambda t: t.reshape(-1),
        lambda t: torch.where(t > 0, t, 0), lambda t: t.mean(dtype=torch.float64),
        lambda t: t.transpose(1, 2), lambda t: t.to(torch.float32),
    ):  # fmt: skip
        same(do(lazy), do(dense))
        with materialising(False), pytest.raises(MaterialisedError, match="case01/ct"):
            do(lazy)
    np.testing.assert_array_equal(np.asarray(lazy), dense.numpy())
    np.testing.assert_array_equal(lazy.numpy(), dense.numpy())
    assert lazy.tolist() == dense.tolist()


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_padding_is_virtual_and_that_of_torch(store, dense, mode):
    lazy = LazyTensor(voxpatch.open(store)["case01/ct"], dtype="float32")
    whole = torch.from_numpy(dense.astype("f4"))[None]
    pad = torch.nn.functional.pad
    for by in [(1, 2), (1, 2, 3, 4), (5, 6, 3, 4, 1, 2), (0, 3, 0, 0, 9, 0)]:
        if mode != "constant" and len(by) < 6:
            by = (*by, *[0] * (6 - len(by)))
        expected = pad(whole[None], by, mode=mode)
        with materialising(False):
            padded = pad(lazy[None], by, mode=mode)
            assert isinstance(padded, LazyTensor) and padded.shape == expected.shape
            same(padded[:, :, 0:9, 2:9, :], expected[:, :, 0:9, 2:9, :])
            same(padded[..., -5:], expected[..., -5:])
            same(padded[..., ::7], expected[..., ::7])
            assert padded[..., ::7].untyped_storage().nbytes() == 4 * padded[..., ::7].numel()
        same(padded + 0, expected)
    by = (1, 1, 1, 1, 1, 1)

    def twice(tensor):
        return pad(pad(tensor[None], by, mode=mode), by, mode=mode)

    same(twice(lazy) + 0, twice(whole))
    if mode == "constant":
        with materialising(False):
            twice = pad(pad(lazy, (1, 1), value=7.0), (2, 2), value=7.0)
            same(twice[..., :9], pad(whole, (3, 3), value=7.0)[..., :9])
        other = pad(pad(lazy, (1, 1), value=7.0), (2, 2), value=8.0)
        same(other, pad(pad(whole, (1, 1), value=7.0), (2, 2), value=8.0))
        same(pad(lazy, (-1, 2)), pad(whole, (-1, 2)))


def test_values_are_converted_on_reading(store, dense):
    volume = voxpatch.open(store)["case01/ct"]
    real = torch.from_numpy((2.0 * dense - 1000.0).astype("f4"))[None]
    same(LazyTensor(volume, scaled=True)[:, 3:5], real[:, 3:5])
    assert LazyTensor(volume, dtype=torch.float64).dtype == torch.float64
    assert LazyTensor(volume, normalise="z_score").dtype == torch.float32


def test_channels_and_times(store):
    dataset, dense = voxpatch.open(store), torch.from_numpy(channels())
    mr = LazyTensor(dataset["case01/mr"])
    with materialising(False):
        same(mr[:, 3:5], dense[:, 3:5])
        same(mr[1, 3:5], dense[1, 3:5])
        same(mr[1:, ..., 4], dense[1:, ..., 4])
    bold = LazyTensor(dataset["case02/bold"], time=2)
    assert bold.shape == (1, *SHAPE)
    same(bold[0, 2], dense[2, 2])
    with pytest.raises(voxpatch.VoxpatchError, match="time"):
        LazyTensor(dataset["case02/bold"])


def test_nothing_is_written_to_it_and_nothing_is_lost(pair):
    lazy, dense = pair
    with pytest.raises(TypeError, match="not written"):
        lazy[0, 0, 0, 0] = 1
    for write in (
        lambda t: t.add_(1), lambda t: t.fill_(0), lambda t: t.zero_(), lambda t: t.copy_(dense),
        lambda t: torch.add(dense, 1, out=t), lambda t: torch.relu_(t),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="not written"):
            write(lazy)
    raised = lazy.clone()
    raised += 1
    same(raised, dense + 1)
    target = torch.zeros_like(dense)
    target.copy_(lazy)
    same(target, dense)


def test_it_pickles_as_a_path(pair):
    lazy, dense = pair
    padded = torch.nn.functional.pad(lazy[None], (1, 1, 1, 1, 1, 1))
    for tensor in (lazy, padded):
        pickled = pickle.dumps(tensor)
        assert len(pickled) < 1500
        again = pickle.loads(pickled)
        assert isinstance(again, LazyTensor) and again.shape == tensor.shape
    same(again[0, :, 1:-1, 1:-1, 1:4], dense[..., 0:3])


def test_tensors_are_read_into(store, dense):
    volume = voxpatch.open(store)["case01/ct"]
    for out in (torch.zeros(4, 5, 6).short(), torch.zeros(6, 5, 4).short().permute(2, 1, 0)):
        assert volume.read((1, 2, 3), (4, 5, 6), out=out) is out
        same(out.contiguous(), torch.from_numpy(dense[1:5, 2:7, 3:9].copy()))
    with pytest.raises(RuntimeError, match="grad"):
        volume.read((0, 0, 0), 4, dtype="f4", out=torch.zeros(4, 4, 4, requires_grad=True))
    many = torch.zeros(2, 4, 5, 6).short()
    volume.read_many([(1, 2, 3), (0, 0, 0)], (4, 5, 6), out=many)
    same(many[1], torch.from_numpy(dense[:4, :5, :6].copy()))
