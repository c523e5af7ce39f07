"""Images of TorchIO 2 over a store: slices are read, and equal those of dense tensors."""

import warnings

import numpy as np
import pytest
import voxpatch
from conftest import SHAPE

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    tio = pytest.importorskip("torchio")
    own = pytest.importorskip("voxpatch.torchio")
if int(tio.__version__.split(".")[0]) < 2:
    pytest.skip("of TorchIO 2", allow_module_level=True)

from voxpatch.torch import materialising

BOX = (slice(None), slice(3, 9), slice(2, 5), slice(1, 4))


@pytest.fixture
def real(dense):
    return torch.from_numpy((2.0 * dense - 1000.0).astype("f4").T.copy())[None]


def test_samplers_read_patches(store, real):
    subject = own.subject(voxpatch.open(store)["case01"], ["ct", "label"])
    with materialising(False):
        patches = list(tio.GridSampler(subject, (15, 17, 7)))
    for patch in patches:
        start = patch.patch_location.index
        box = tuple(slice(s, s + n) for s, n in zip(start, (15, 17, 7), strict=True))
        assert torch.equal(patch["ct"].data, real[:, *box])
        assert patch["label"].data.shape == patch["ct"].data.shape
    assert len(patches) == 18


def test_a_reader_is_lazy(store, real):
    with materialising(False):
        image = tio.ScalarImage(str(store / "case01/ct"), reader=own.Reader())
        assert image.shape == (1, *SHAPE[::-1])
        assert torch.equal(image[BOX].data, real[BOX])
        affine = voxpatch.open(store)["case01/ct"].affine
        np.testing.assert_allclose(np.asarray(image.affine), affine)
    assert torch.equal(image.data, real)
    labels = tio.LabelMap(str(store / "case01/label"), reader=own.Reader())
    assert labels[BOX].data.dtype == torch.uint8
    with pytest.raises(voxpatch.errors.NotFoundError):
        own.Reader().create_backend(type("Request", (), {"path": store / "case01/none"}))
