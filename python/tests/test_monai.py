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
