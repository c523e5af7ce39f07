"""Measurements from Python."""

import pytest
import voxpatch


def test_the_report_is_that_of_the_command(store, tmp_path):
    options = {"seconds": 0.01, "count": 5, "scratch": tmp_path}
    report = voxpatch.bench(store / "case01/ct", patch=[(4, 8, 8), 6], threads=[1, 2], **options)
    (volume,) = report["volumes"]
    assert volume["name"] == "case01/ct" and len(volume["rows"]) == 4
    for row in volume["rows"]:
        assert row["ratio"] > 0 and row["store"]["patches_per_second"] > 0 and row["compared"]
    alone = voxpatch.bench(store / "case01/ct", patch=6, baseline=False, **options)
    assert alone["volumes"][0]["rows"][0]["ratio"] is None
    dataset = voxpatch.open(store)
    for handle, count in ((dataset["case01/ct"], 1), (dataset, len(dataset.volumes()))):
        found = voxpatch.bench(handle, patch=6, baseline=False, **options)
        assert len(found["volumes"]) == count
    assert not list(tmp_path.iterdir())


def test_measurements_that_make_no_sense_are_refused(store):
    (failure,) = voxpatch.bench(store / "case01/ct", patch=99, baseline=False)["failed"]
    assert failure["name"] == "case01/ct" and "99" in failure["error"]
    for wrong in ({"starts": "here"}, {"seconds": -1.0}):
        with pytest.raises(voxpatch.VoxpatchError):
            voxpatch.bench(store / "case01/ct", **{"seconds": 0.01, **wrong})
    with pytest.raises(voxpatch.errors.NotFoundError):
        voxpatch.bench(store / "none/ct")
