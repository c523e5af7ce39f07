"""Stock TorchIO over lazy tensors: only patches are read, and they are those of dense tensors."""

import warnings

import numpy as np
import pytest
import voxpatch
from conftest import labels

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    tio = pytest.importorskip("torchio")

from voxpatch.torch import LazyTensor, materialising

PATCH = (8, 12, 4)

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:DeprecationWarning")


@pytest.fixture
def subjects(store, dense):
    """The same subject, with lazy and with dense images."""
    from voxpatch.torchio import subject

    affine = voxpatch.open(store)["case01/ct"].affine
    lazy = subject(voxpatch.open(store)["case01"], ["ct", "label"])
    real = torch.from_numpy((2.0 * dense - 1000.0).astype("f4").T.copy())[None]
    whole = tio.Subject(
        ct=tio.ScalarImage(tensor=real, affine=affine),
        label=tio.LabelMap(tensor=torch.from_numpy(labels().T.copy())[None], affine=affine),
    )
    return lazy, whole


def same(found, expected):
    for image in ("ct", "label"):
        a, b = found[image][tio.DATA], expected[image][tio.DATA]
        assert type(a) is torch.Tensor and a.dtype == b.dtype and torch.equal(a, b)
        np.testing.assert_allclose(found[image][tio.AFFINE], expected[image][tio.AFFINE])


def drawn(sampler, subject, count=6):
    torch.manual_seed(4)
    return list(sampler(subject, count))


def test_uniform_patches(subjects):
    sampler = tio.UniformSampler(PATCH)
    with materialising(False):
        lazy = drawn(sampler, subjects[0])
    for found, expected in zip(lazy, drawn(sampler, subjects[1]), strict=True):
        assert torch.equal(found["location"], expected["location"])
        same(found, expected)


def test_grids_and_their_aggregation(subjects):
    grids = [tio.GridSampler(subject, PATCH, (2, 4, 2)) for subject in subjects]
    aggregators = [tio.GridAggregator(grid) for grid in grids]
    assert len(grids[0]) == len(grids[1]) > 4
    with materialising(False):
        for n in range(len(grids[0])):
            found = grids[0][n]
            same(found, grids[1][n])
            for aggregator in aggregators:
                location = found[tio.LOCATION][None]
                aggregator.add_batch(found["ct"][tio.DATA][None], location)
    lazy, whole = (aggregator.get_output_tensor() for aggregator in aggregators)
    assert torch.equal(lazy, whole)
    assert torch.equal(lazy, subjects[1]["ct"].data)


def test_labels_choose_patches(subjects):
    # The sampler makes a map of all voxels: the label map is read as a whole, the image is not.
    sampler = tio.LabelSampler(PATCH, label_name="label", label_probabilities={1: 1, 2: 2})
    lazy, whole = (drawn(sampler, subject) for subject in subjects)
    for found, expected in zip(lazy, whole, strict=True):
        same(found, expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_queue_feeds_on_patches(subjects, workers):
    def epoch(subject):
        torch.manual_seed(8)
        queue = tio.Queue(
            tio.SubjectsDataset([subject] * 2),
            max_length=6,
            samples_per_volume=3,
            sampler=tio.UniformSampler(PATCH),
            num_workers=workers,
            shuffle_subjects=False,
            shuffle_patches=False,
        )
        loader = tio.SubjectsLoader(queue, batch_size=2, num_workers=0)
        return [batch["ct"][tio.DATA] for batch in loader]

    batches = epoch(subjects[0])
    assert len(batches) == 3 and all(batch.shape == (2, 1, *PATCH) for batch in batches)
    if workers == 0:
        assert all(torch.equal(a, b) for a, b in zip(batches, epoch(subjects[1]), strict=True))


def test_transforms_work_on_dense_copies(subjects):
    transform = tio.Compose([tio.Flip(axes=0), tio.Pad(2), tio.ZNormalization()])
    same(transform(subjects[0]), transform(subjects[1]))


def test_kinds_and_names_are_kept(subjects):
    lazy, whole = subjects
    assert lazy["name"] == "case01" and isinstance(lazy["label"], tio.LabelMap)
    assert isinstance(lazy["ct"], tio.ScalarImage) and isinstance(lazy["ct"].data, LazyTensor)
    assert lazy.spatial_shape == whole.spatial_shape and lazy.spacing == whole.spacing
