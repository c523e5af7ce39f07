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

from voxpatch.torch import LazyTensor, materialising

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


@pytest.mark.parametrize(
    "options",
    [
        {}, {"overlap": 0.5, "mode": "gaussian"}, {"overlap": (0.25, 0.5, 0.0)},
        {"roi_size": (8, 40, 16), "padding_mode": "replicate"}, {"mode": "gaussian", "sigma_scale": 0.2},
        {"roi_size": (30, 16, 16), "cval": -5.0}, {"roi_size": (7, 15, 17), "overlap": 0.6},
    ],
)  # fmt: skip
@pytest.mark.parametrize("axes", ["zyx", "xyz"])
def test_inference_from_store_to_store_equals_monai(tmp_path, dense, model, options, axes):
    from voxpatch import monai

    voxpatch.convert(dense, tmp_path / "s", "a/ct", progress=False)
    ct = voxpatch.open(tmp_path / "s", axes=axes)["a/ct"]
    options = {"roi_size": (8, 16, 16), "sw_batch_size": 3, **options}
    image = torch.from_numpy(ct[...].astype("f4"))[None, None]
    with torch.no_grad():
        expected = sliding_window_inference(image, predictor=model, **options)[0]
    scores = monai.sliding_window_inference(ct, predictor=model, out="a/scores", **options)
    found = torch.from_numpy(scores[...])
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_inference_stores_classes_on_request(tmp_path, dense, model):
    from voxpatch import monai

    voxpatch.convert(dense, tmp_path / "s", "a/ct", progress=False)
    ct = voxpatch.open(tmp_path / "s")["a/ct"]
    outputs = [voxpatch.Output("a/classes", "argmax"), voxpatch.Output("a/scores")]
    classes = monai.sliding_window_inference(ct, (8, 16, 16), 2, model, out=outputs)
    assert classes.kind == "label"
    scores = voxpatch.open(tmp_path / "s")["a/scores"]
    assert (classes[...] == scores[...].argmax(0)).all()
    for wrong in ({"mode": "linear"}, {"padding_mode": "mirror"}):
        with pytest.raises(voxpatch.errors.InvalidArgumentError):
            monai.sliding_window_inference(ct, 8, 2, model, out="a/b", **wrong)
