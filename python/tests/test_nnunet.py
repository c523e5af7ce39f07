"""nnU-Net's predictor over a lazy tensor."""

import warnings

import numpy as np
import pytest
import voxpatch
from conftest import SHAPE, labels, scan

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("nnunetv2")
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
    from nnunetv2.training.dataloading.nnunet_dataset import (
        infer_dataset_class,
        nnUNetDatasetBlosc2,
    )
    from voxpatch import nnunet

from voxpatch.torch import LazyTensor, materialising


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


PATCH = (8, 16, 16)


class LabelManager:
    all_labels = [0, 1, 2]
    has_ignore_label = False


@pytest.fixture
def folders(tmp_path):
    """Three cases as nnU-Net preprocesses them, and the same converted."""
    (tmp_path / "blosc2").mkdir()
    seg = labels().astype("int8")[None]
    for n, channels in enumerate((1, 1, 1)):
        data = np.stack([scan(SHAPE, "float32", seed=n + c) / 500 for c in range(channels)])
        at = {label: np.argwhere(seg == label) for label in (1, 2)}
        nnUNetDatasetBlosc2.save_case(
            data, seg, {"class_locations": at, "case": n}, str(tmp_path / f"blosc2/case{n}"),
            chunks=(1, 8, 16, 16), blocks=(1, 4, 8, 8),
        )  # fmt: skip
    cases = nnunet.convert(tmp_path / "blosc2", tmp_path / "ours", patch=PATCH, threads=1)
    assert sorted(cases) == ["case0", "case1", "case2"]
    return tmp_path / "blosc2", tmp_path / "ours"


def batches(folder, count=6):
    dataset = infer_dataset_class(str(folder))(str(folder))
    larger = (10, 20, 20)
    loader = nnUNetDataLoader(dataset, 2, larger, PATCH, LabelManager, 0.5, None, None)
    np.random.seed(5)
    return [loader.generate_train_batch() for _ in range(count)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_loader_gets_the_same_batches_as_from_blosc2(folders):
    blosc2, ours = folders
    assert infer_dataset_class(str(ours)) is nnunet.VoxpatchDataset
    for found, expected in zip(batches(ours), batches(blosc2), strict=True):
        assert list(found["keys"]) == list(expected["keys"])
        for key in ("data", "target"):
            assert found[key].dtype == expected[key].dtype
            assert torch.equal(found[key], expected[key])


def test_cases_go_both_ways(folders, tmp_path):
    blosc2, ours = folders
    nnunet.restore(ours, tmp_path / "again")
    before, after = (infer_dataset_class(str(f))(str(f)) for f in (blosc2, tmp_path / "again"))
    for case in ("case0", "case1", "case2"):
        for a, b in zip(before.load_case(case)[:2], after.load_case(case)[:2], strict=True):
            np.testing.assert_array_equal(a[:], b[:])
        assert before.load_case(case)[3]["case"] == after.load_case(case)[3]["case"]


def test_one_channel_is_sliced_like_an_array(folders):
    data = nnunet.VoxpatchDataset(str(folders[1])).load_case("case0")[0]
    dense = np.asarray(data)
    assert dense.shape == data.shape == (1, *SHAPE)
    for index in (
        (slice(None), slice(2, 5), slice(3, 9), slice(0, 4)), (slice(None), slice(12, 10)),
        (0, 3), (..., 5), slice(None), (slice(0, 1), ..., slice(3, 4)), ..., (slice(1, 1),),
    ):  # fmt: skip
        np.testing.assert_array_equal(data[index], dense[index])
        assert data[index].shape == dense[index].shape
