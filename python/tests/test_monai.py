"""Stock MONAI over lazy tensors: one read for each window, and the results of dense tensors."""

import warnings

import pytest
import voxpatch

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("monai")
    from monai.inferers import (
        PatchInferer,
        SlidingWindowInferer,
        SlidingWindowSplitter,
        sliding_window_inference,
    )

from voxpatch.torch import LazyTensor, materialising  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def pair(store, dense):
    lazy = LazyTensor(voxpatch.open(store)["case01/ct"], scaled=True)
    return lazy[None], torch.from_numpy((2.0 * dense - 1000.0).astype("f4"))[None, None]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return torch.nn.Conv3d(1, 2, 3, padding=1).eval()


def check(pair, run):
    with torch.no_grad():
        with materialising(False):
            lazy = run(pair[0])
        dense = run(pair[1])
    assert torch.equal(lazy, dense) and type(lazy) is torch.Tensor


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"overlap": 0.5, "mode": "gaussian"},
        {"sw_batch_size": 1},
        {"roi_size": (8, 40, 16)},
        {"roi_size": (8, 40, 16), "padding_mode": "replicate"},
        {"roi_size": (8, 16, 50), "padding_mode": "reflect"},
        {"buffer_steps": 2, "overlap": 0.25},
    ],
)
def test_sliding_windows(pair, model, options):
    options = {"roi_size": (8, 16, 16), "sw_batch_size": 3, **options}
    check(pair, lambda image: sliding_window_inference(image, predictor=model, **options))


def test_inferers(pair, model):
    whole = SlidingWindowInferer((8, 16, 16), sw_batch_size=2, cpu_thresh=1000)
    check(pair, lambda image: whole(image, model))
    split = SlidingWindowSplitter((8, 16, 16), overlap=0.25, pad_mode="constant")
    inferer = PatchInferer(split, batch_size=2)
    check(pair, lambda image: inferer(image, model))


def test_load_image_reads_volumes(store, dense):
    from monai.transforms import LoadImage, LoadImaged
    from voxpatch.monai import VoxpatchReader

    image = LoadImage(reader=VoxpatchReader(), image_only=True, ensure_channel_first=True)
    ct = image(store / "case01/ct")
    real = (2.0 * dense - 1000.0).astype("f4")
    assert ct.shape == (1, *dense.shape[::-1]) and torch.equal(ct[0], torch.from_numpy(real.T))
    affine = voxpatch.open(store)["case01/ct"].affine
    assert torch.allclose(ct.affine, torch.from_numpy(affine))
    assert image(store / "case01/mr").shape == (3, *dense.shape[::-1])
    both = LoadImaged(["ct", "label"], reader=VoxpatchReader())
    loaded = both({"ct": store / "case01/ct", "label": store / "case01/label"})
    assert loaded["label"].shape == dense.shape[::-1] and loaded["label"].max() == 2
    assert not VoxpatchReader().verify_suffix(store / "case01/none")
    with pytest.raises(voxpatch.errors.NotFoundError):
        VoxpatchReader().read(store / "case01/none")
