"""Arguments of the wrong kind are refused by name, with what to give instead."""

import numpy as np
import pytest
import voxpatch


def model(patches):
    return patches


GRID = voxpatch.GridSampler(8)
OUTPUT = voxpatch.Output("case01/scores")
UNIFORM = voxpatch.UniformSampler(8)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda ct: voxpatch.PatchStream("scans.zarr", UNIFORM, "ct"), "dataset: 'scans.zarr'.*voxpatch.open"),
        (lambda ct: voxpatch.PatchStream(voxpatch.open(ct.store), UNIFORM, {"ct": "z_score"}), "image ct: 'z_score'"),
        (lambda ct: voxpatch.predict(ct[...], model, OUTPUT, GRID), "volume: a ndarray.*store"),
        (lambda ct: voxpatch.predict(ct, model, "case01/scores", GRID), "outputs: 'case01/scores'.*Output"),
        (lambda ct: voxpatch.predict(ct, model, 3, GRID), "outputs: a int"),
        (lambda ct: voxpatch.predict(ct, model, OUTPUT, UNIFORM), "sampler: a UniformSampler.*GridSampler"),
        (lambda ct: voxpatch.Aggregator(ct, (8, 8, 8), OUTPUT), "sampler: a tuple.*GridSampler"),
    ],
)  # fmt: skip
def test_wrong_kinds_are_named_with_the_remedy(ct, call, told):
    with pytest.raises(TypeError, match=told):
        call(ct)


def test_adapters_do_the_same(ct):
    lazy = pytest.importorskip("torch") and pytest.importorskip("voxpatch.torch")
    for call in (lambda: lazy.LazyTensor(np.zeros((3, 3, 3))), lambda: lazy.PatchDataset("s", UNIFORM, "ct")):
        with pytest.raises(TypeError, match="give"):
            call()
