"""What is known of a volume."""

import copy
import pickle
import shutil

import numpy as np
import pytest
import voxpatch
from conftest import LAYOUT, SHAPE, channels, labels, scan
from nifti import write_nifti


def test_a_volume_describes_itself_as_an_array_would(store, dense, ct):
    assert (ct.name, ct.subject, ct.image) == ("case01/ct", "case01", "ct")
    assert (ct.shape, ct.spatial_shape, ct.ndim, ct.size) == (SHAPE, SHAPE, 3, dense.size)
    assert (ct.dtype, ct.stored_dtype, ct.nbytes) == (dense.dtype, np.dtype("int16"), dense.nbytes)
    assert ct.spacing == pytest.approx((3.0, 0.7, 0.6))
    assert np.asarray(ct.affine) == pytest.approx(np.diag([0.6, 0.7, 3.0, 1.0]))
    assert (ct.chunks, ct.shards) == ((4, 8, 8), (8, 16, 24))
    assert (ct.kind, ct.scaling, ct.times, ct.channels) == ("intensity", (2.0, -1000.0), 1, 1)
    assert len(ct) == SHAPE[0] and len(ct.digest) == 64
    assert ct.codec in repr(ct.info()) or ct.codec
    assert str(store) == str(ct.store)
    assert "case01/ct" in repr(ct) and "21 x 34 x 45 (zyx)" in repr(ct)
    assert "<table>" in ct._repr_html_() and "int16" in ct._repr_html_()
    assert ct.info()["shape"] == list(SHAPE)


def test_axes_of_channels_and_times_are_there_where_there_are_several(store):
    dataset = voxpatch.open(store)
    assert dataset["case01/mr"].shape == (3, *SHAPE)
    assert (dataset["case01/mr"].channels, dataset["case01/mr"].times) == (3, 1)
    assert dataset["case02/bold"].shape == (3, *SHAPE)
    assert (dataset["case02/bold"].channels, dataset["case02/bold"].times) == (1, 3)
    assert "3 x 21 x 34 x 45 (czyx)" in repr(dataset["case01/mr"])
    assert "(tzyx)" in repr(dataset["case02/bold"])


def test_labels_are_counted_and_named(store):
    volume = voxpatch.open(store)["case01/label"]
    found, counts = np.unique(labels(), return_counts=True)
    assert volume.label_counts() == dict(zip(found.tolist(), counts.tolist(), strict=True))
    assert volume.label_names() == {1: "liver", 2: "lesion"}
    with pytest.raises(voxpatch.errors.InvalidArgumentError, match="only label maps"):
        voxpatch.open(store)["case01/ct"].label_counts()


def test_a_dataset_is_a_mapping_of_mappings(store):
    dataset = voxpatch.open(store)
    assert list(dataset) == ["case01", "case02"] and len(dataset) == 2
    assert dict(dataset["case01"]).keys() == {"ct", "label", "mr"}
    assert dataset.volumes() == ["case01/ct", "case01/label", "case01/mr", "case02/bold"]
    assert "case01" in dataset and "case01/ct" in dataset
    for absent in ("case03", "case01/none", "none/ct", 3):
        assert absent not in dataset
    for absent in ("case03", "case01/none"):
        with pytest.raises(KeyError) as found:
            dataset[absent]
        assert isinstance(found.value, voxpatch.errors.NotFoundError)
        assert absent in str(found.value) and found.value.path.endswith(absent)
    assert dataset.get("case03") is None and dataset.get("case01/none") is None
    assert dataset["case01"]["ct"] == dataset["case01/ct"]
    assert "case02" in dataset._repr_html_() and "2 subjects" in repr(dataset)
    assert "ct, label, mr" in repr(dataset["case01"])


def test_handles_pickle_and_open_again(store, ct, dense):
    dataset = voxpatch.open(store)
    for handle in (dataset, dataset["case01"], ct):
        for again in (pickle.loads(pickle.dumps(handle)), copy.deepcopy(handle)):
            assert again == handle and hash(again) == hash(handle)
    xyz = voxpatch.open(store, axes="xyz")["case01/ct"]
    assert pickle.loads(pickle.dumps(xyz)).axes == "xyz" and xyz != ct
    normalise = ct.clipped_z_score(1, 99)
    assert pickle.loads(pickle.dumps(normalise)) == normalise
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ct))[3], dense[3])


def test_a_volume_that_was_replaced_says_so(tmp_path):
    store = tmp_path / "store"
    for seed in (1, 2):
        write_nifti(tmp_path / f"{seed}.nii", scan(SHAPE, seed=seed))
    voxpatch.convert(tmp_path / "1.nii", store, "a/b", **LAYOUT)
    old = voxpatch.open(store)["a/b"]
    pickled = pickle.dumps(old)
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        voxpatch.convert(tmp_path / "2.nii", store, "a/b", **LAYOUT)
    assert voxpatch.convert(tmp_path / "1.nii", store, "a/b", skip_same=True, **LAYOUT) is None
    voxpatch.convert(tmp_path / "2.nii", store, "a/b", overwrite=True, **LAYOUT)
    with pytest.raises(voxpatch.errors.ReplacedError):
        old[...]
    with pytest.raises(voxpatch.errors.ReplacedError):
        pickle.loads(pickled)
    np.testing.assert_array_equal(voxpatch.open(store)["a/b"], scan(SHAPE, seed=2))


def test_volumes_are_removed_verified_and_swept(tmp_path):
    store = tmp_path / "store"
    voxpatch.convert(write_nifti(tmp_path / "a.nii", channels()[0]), store, "a/b", **LAYOUT)
    dataset = voxpatch.open(store)
    assert dataset.verify(progress=False)["volumes"][0]["damage"] == []
    shard = next((store / "a/b").rglob("c/*/*/*"))
    content = bytearray(shard.read_bytes())
    content[5] ^= 1
    shard.write_bytes(content)
    assert dataset.verify("a/b", progress=False)["damage"][0]["path"] == str(shard)
    with pytest.raises(voxpatch.errors.CorruptStoreError) as found:
        np.asarray(voxpatch.open(store)["a/b"])
    assert found.value.path.startswith(str(store))
    dataset.remove("a/b")
    assert list(dataset) == []
    with pytest.raises(voxpatch.errors.NotFoundError):
        dataset.remove("a/b")
    assert dataset.sweep(0) == {"removed": [], "kept": []}
    assert dataset.unfinished() == [] and not dataset.discard_unfinished("a/b")


def test_stores_that_are_none_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        voxpatch.open(tmp_path / "none")
    (tmp_path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(voxpatch.errors.NotVoxpatchError):
        voxpatch.open(tmp_path)
    with pytest.raises(ValueError, match="zyx"):
        voxpatch.open(tmp_path, axes="xzy")
    assert len(voxpatch.create(tmp_path / "new")) == 0


@pytest.mark.parametrize("fate", ["moved", "deleted"])
def test_a_store_that_has_gone_gives_sound_voxels_or_an_error(tmp_path, dense, fate):
    path = tmp_path / "s"
    voxpatch.convert(dense, path, "a/ct", chunk=(4, 8, 8), shard=(8, 16, 24), progress=False)
    dataset = voxpatch.open(path)
    ct = dataset["a/ct"]
    first = ct.read((0, 0, 0), (4, 8, 8))
    path.rename(tmp_path / "elsewhere")
    if fate == "deleted":
        shutil.rmtree(tmp_path / "elsewhere")
    # What was read once is still mapped; the rest is not there.
    np.testing.assert_array_equal(ct.read((0, 0, 0), (4, 8, 8)), first)
    with pytest.raises(voxpatch.errors.ReplacedError, match="open it again"):
        ct[...]
    with pytest.raises(voxpatch.errors.NotFoundError):
        dataset["a/ct"]
    stream = voxpatch.PatchStream
    with pytest.raises(voxpatch.errors.NotFoundError):
        stream(dataset, voxpatch.UniformSampler(4), "ct", subjects=["a"])
    if fate == "moved":
        again = voxpatch.open(tmp_path / "elsewhere")["a/ct"]
        np.testing.assert_array_equal(again[...], dense)
