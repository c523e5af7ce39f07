"""nnU-Net's predictor over a lazy tensor."""

import warnings

import pytest
import voxpatch

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("nnunetv2")
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from voxpatch.torch import LazyTensor, materialising  # noqa: E402


def test_the_predictor_reads_windows(store, dense, monkeypatch):
    torch.manual_seed(0)
    predictor = nnUNetPredictor(
        tile_step_size=0.5, use_gaussian=True, use_mirroring=False, perform_everything_on_device=False,
        device=torch.device("cpu"), verbose=False, allow_tqdm=False,
    )  # fmt: skip
    predictor.network = torch.nn.Conv3d(1, 2, 3, padding=1).eval()

    class Configuration:
        patch_size = (8, 16, 16)

    class Labels:
        num_segmentation_heads = 2

    predictor.configuration_manager = Configuration
    predictor.label_manager = Labels
    lazy = LazyTensor(voxpatch.open(store)["case01/ct"], dtype="float32")
    with materialising(False):
        found = predictor.predict_sliding_window_return_logits(lazy)
    expected = predictor.predict_sliding_window_return_logits(torch.from_numpy(dense.astype("f4"))[None])
    assert torch.equal(found, expected)
