"""nnU-Net's predictor over a lazy tensor."""

import itertools
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
    from nnunetv2.inference.sliding_window_prediction import (
        compute_gaussian,
        compute_steps_for_sliding_window,
    )
    from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
    from nnunetv2.training.dataloading.nnunet_dataset import (
        infer_dataset_class,
        nnUNetDatasetBlosc2,
    )
    from voxpatch import nnunet

from voxpatch.torch import LazyTensor, materialising


def predictor_of(network, patch, tile_step_size=0.5):
    predictor = nnUNetPredictor(
        tile_step_size=tile_step_size, use_gaussian=True, use_mirroring=False,
        perform_everything_on_device=False, device=torch.device("cpu"), verbose=False,
        allow_tqdm=False,
    )  # fmt: skip
    predictor.network = network.eval()

    class Configuration:
        patch_size = patch

    class Labels:
        num_segmentation_heads = 2

    predictor.configuration_manager = Configuration
    predictor.label_manager = Labels
    return predictor


def test_the_predictor_reads_windows(store, dense):
    torch.manual_seed(0)
    predictor = predictor_of(torch.nn.Conv3d(1, 2, 3, padding=1), (8, 16, 16))
    lazy = LazyTensor(voxpatch.open(store)["case01/ct"], dtype="float32")
    with materialising(False):
        found = predictor.predict_sliding_window_return_logits(lazy)
    expected = predictor.predict_sliding_window_return_logits(torch.from_numpy(dense.astype("f4"))[None])
    assert torch.equal(found, expected)


def test_evenly_spread_grids_are_those_of_nnunet():
    random = np.random.default_rng(3)
    for _ in range(300):
        patch = tuple(map(int, random.integers(2, 70, 3)))
        shape = tuple(int(p + random.integers(0, 300)) for p in patch)
        step = float(random.choice([0.5, 1.0, 0.75, 0.51, random.uniform(0.5, 1)]))
        step = max(step * random.choice([1, 1, 0.3]), 1 / min(patch))
        expected = compute_steps_for_sliding_window(shape, patch, step)
        starts = voxpatch.GridSampler(patch, tile_step_size=step).starts(shape)
        assert [sorted(set(starts[:, axis].tolist())) for axis in range(3)] == expected
        assert len(starts) == np.prod([len(steps) for steps in expected])
    slices = voxpatch.GridSampler((1, 16, 16), tile_step_size=(1.0, 0.5, 0.7))
    y = compute_steps_for_sliding_window((50, 60), (16, 16), 0.5)[0]
    x = compute_steps_for_sliding_window((50, 60), (16, 16), 0.7)[1]
    expected = [list(start) for start in itertools.product(range(4), y, x)]
    assert slices.starts((4, 50, 60)).tolist() == expected
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="overlap"):
        voxpatch.GridSampler(16, 4, tile_step_size=0.5)
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="tile step"):
        voxpatch.GridSampler(16, tile_step_size=1.5)


def test_weights_are_those_of_nnunets_gaussian(tmp_path, dense):
    # A model that answers 1 for one patch and 0 for the others stores that patch's share of weight.
    voxpatch.convert(dense, tmp_path / "s", "a/ct", progress=False)
    patch = (21, 34, 24)
    ct = voxpatch.open(tmp_path / "s")["a/ct"]
    grid = voxpatch.GridSampler(patch, tile_step_size=0.5)
    assert grid.starts(ct).tolist() == [[0, 0, 0], [0, 0, 10], [0, 0, 21]]

    first = iter([1.0, 0.0, 0.0])

    def model(patches):
        return np.full((1, 1, *patch), next(first), "float32")

    voxpatch.predict(ct, model, voxpatch.Output("a/w", channels=1), grid, blend="nnunet")
    found = voxpatch.open(tmp_path / "s")["a/w"][...]
    gaussian = compute_gaussian(patch, 1 / 8, 10, torch.float64, "cpu").numpy()
    gaussian = np.maximum(gaussian, np.finfo("float16").smallest_subnormal)
    weights = np.zeros((3, *SHAPE))
    for n, x in enumerate((0, 10, 21)):
        weights[n, ..., x : x + 24] = gaussian
    np.testing.assert_allclose(found, weights[0] / weights.sum(0), atol=1e-6)


@pytest.mark.parametrize("step", [0.5, 0.7])
def test_predictions_are_those_of_nnunet(tmp_path, dense, step):
    torch.manual_seed(0)
    patch, network = (8, 16, 16), torch.nn.Conv3d(1, 2, 3, padding=1)
    voxpatch.convert(dense, tmp_path / "s", "a/ct", progress=False)
    ct = voxpatch.open(tmp_path / "s")["a/ct"]
    normalise = voxpatch.Normalise(0.0, 500.0)

    def model(patches):
        with torch.no_grad():
            return network(torch.from_numpy(patches)).numpy()

    grid = voxpatch.GridSampler(patch, tile_step_size=step)
    options = {"blend": "nnunet", "normalise": normalise, "batch_size": 3}
    voxpatch.predict(ct, model, voxpatch.Output("a/logits"), grid, **options)
    found = voxpatch.open(tmp_path / "s")["a/logits"][...]
    image = torch.from_numpy(ct.read((0, 0, 0), SHAPE, normalise=normalise))[None]
    # By its steps and its Gaussian, added in 64 bits.
    gaussian = compute_gaussian(patch, 1 / 8, 10, torch.float64, "cpu").numpy()
    gaussian = np.maximum(gaussian, np.finfo("float16").smallest_subnormal)
    total, weights = np.zeros((2, *SHAPE)), np.zeros(SHAPE)
    for start in itertools.product(*compute_steps_for_sliding_window(SHAPE, patch, step)):
        tile = tuple(slice(s, s + p) for s, p in zip(start, patch, strict=True))
        total[:, *tile] += model(image[None, :, *tile].numpy())[0] * gaussian
        weights[tile] += gaussian
    np.testing.assert_allclose(found, total / weights, atol=1e-5)
    # nnU-Net's predictor adds in 16 bits, which leaves nothing of a product with a tiny weight.
    logits = predictor_of(network, patch, step).predict_sliding_window_return_logits(image)
    there = weights > 0.01
    np.testing.assert_allclose(found[:, there], logits.numpy()[:, there], atol=1e-2)


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
def test_a_cascade_reads_patches_of_the_stage_before(folders, tmp_path):
    found = []
    for folder, dataset in zip(folders, (nnUNetDatasetBlosc2, nnunet.VoxpatchDataset), strict=True):
        before = tmp_path / f"before of {folder.name}"
        before.mkdir()
        for n in range(3):
            seg = (labels() + n) % 3
            dataset.save_seg(seg, str(before / f"case{n}"))
        cases = dataset(str(folder), folder_with_segs_from_previous_stage=str(before))
        loader = nnUNetDataLoader(cases, 2, (10, 20, 20), PATCH, LabelManager, 0.5, None, None)
        np.random.seed(7)
        found.append([loader.generate_train_batch() for _ in range(4)])
    previous = cases.load_case("case0")[2]
    assert isinstance(previous, voxpatch.Volume) and previous.shape == SHAPE
    for blosc2, ours in zip(*found, strict=True):
        assert ours["target"].shape[1] == 2 and torch.equal(ours["target"], blosc2["target"])
        assert torch.equal(ours["data"], blosc2["data"])


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
