"""Our stores in zarr-python, dask, xarray and napari."""

import numpy as np
import pytest
import voxpatch
from conftest import SHAPE, channels, scan
from nifti import write_nifti


@pytest.fixture(scope="module", params=["packed:8", "packed:1", "packed:0"])
def packed(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    image = write_nifti(folder / "a.nii", scan(SHAPE))
    options = {"chunk": (4, 8, 8), "shard": (8, 16, 24), "threads": 1, "progress": False}
    voxpatch.convert(image, folder / "s", "a/b", codec=request.param, **options)
    return voxpatch.open(folder / "s")["a/b"]


def test_zarr_reads_packed_stores_by_the_entry_point(packed):
    zarr = pytest.importorskip("zarr")
    from voxpatch.zarr import array

    found = array(packed)
    assert isinstance(found, zarr.Array) and found.shape == SHAPE
    np.testing.assert_array_equal(found[...], scan(SHAPE))
    np.testing.assert_array_equal(found[3:9, 5:30:3, 7], scan(SHAPE)[3:9, 5:30:3, 7])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_zarr_writes_packed_arrays_too(tmp_path, dtype):
    zarr = pytest.importorskip("zarr")
    from voxpatch.zarr import PackedCodec

    voxels = scan((9, 10, 11), dtype)
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=voxels.shape, chunks=(4, 5, 6), dtype=dtype,
        serializer=PackedCodec(key_every=2), compressors=None,
    )  # fmt: skip
    array[...] = voxels
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a.zarr", mode="r")[...], voxels)


def test_zarr_refuses_types_that_packed_does_not_store(tmp_path):
    zarr = pytest.importorskip("zarr")
    from voxpatch.zarr import PackedCodec

    for dtype in ("float32", "int64"):
        with pytest.raises(ValueError, match="8, 16 and 32 bits"):
            zarr.create_array(
                tmp_path / dtype, shape=(4, 4, 4), chunks=(4, 4, 4), dtype=dtype,
                serializer=PackedCodec(), compressors=None,
            )  # fmt: skip


def test_a_damaged_chunk_is_an_exception():
    encoded = voxpatch._voxpatch._packed_encode(scan((4, 8, 8)), 2)
    decode = voxpatch._voxpatch._packed_decode
    np.testing.assert_array_equal(decode(encoded, (4, 8, 8), "int16"), scan((4, 8, 8)))
    for damaged in (b"", encoded[:-1], encoded[:10]):
        with pytest.raises(voxpatch.VoxpatchError):
            decode(damaged, (4, 8, 8), "int16")
    with pytest.raises(voxpatch.VoxpatchError, match="axis is 0"):
        decode(encoded, (0, 8, 8), "int16")


def test_dask_has_a_task_for_each_shard(store, ct, dense):
    pytest.importorskip("dask.array")
    array = ct.to_dask()
    assert array.chunksize == ct.shards and array.dtype == ct.dtype
    np.testing.assert_array_equal(array.compute(scheduler="threads"), dense)
    np.testing.assert_array_equal(array[3:9:2, ::-1, 7].compute(), dense[3:9:2, ::-1, 7])
    assert array.name == voxpatch.open(store)["case01/ct"].to_dask().name
    mr = voxpatch.open(store)["case01/mr"].to_dask()
    np.testing.assert_array_equal(mr[1].compute(), channels()[1])


def test_xarray_has_coordinates_in_millimetres(store, dense):
    xarray = pytest.importorskip("xarray")
    for engine in ("voxpatch", None):
        opened = xarray.open_dataset(store / "case01/ct", engine=engine)
        ct = opened["ct"]
        assert ct.dims == ("z", "y", "x") and ct.attrs["kind"] == "intensity"
        np.testing.assert_allclose(opened["z"], np.arange(SHAPE[0]) * 3.0)
        np.testing.assert_array_equal(ct[3:6, ::2], dense[3:6, ::2])
        np.testing.assert_array_equal(ct.isel(x=[3, 1]), dense[..., [3, 1]])
        np.testing.assert_array_equal(ct.sel(z=6.0), dense[2])
    four = xarray.open_dataset(store / "case01/mr", engine="voxpatch")["mr"]
    assert four.dims == ("channel", "z", "y", "x")


def test_napari_gets_layers_with_the_full_affine(store, dense):
    from voxpatch._napari import reader

    assert reader("/nowhere") is None and reader(["a", "b"]) is None
    (layer,) = reader(store / "case01/ct")(store / "case01/ct")
    data, meta, kind = layer
    assert kind == "image" and data[3, 4, 5] == dense[3, 4, 5]
    voxel, ras = np.array([1, 2, 3, 1]), data.affine @ np.array([3, 2, 1, 1])
    np.testing.assert_allclose((meta["affine"] @ voxel)[:3], ras[2::-1])
    layers = reader(store)(store)
    assert [layer[2] for layer in layers] == ["image", "labels", "image", "image"]
    assert layers[2][1]["channel_axis"] == 0 and layers[2][1]["affine"].shape == (4, 4)
    assert layers[3][1]["affine"].shape == (5, 5)
