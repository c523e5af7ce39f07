"""The codec ``voxpatch.packed`` for zarr-python, which finds it by an entry point.

With voxpatch installed, zarr, dask, xarray and napari open every store of voxpatch: the array of a
volume is named by the volume's ``zarr.json``, ``voxpatch.zarr.array(volume)`` opens it.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from voxpatch.errors import MissingExtraError

try:
    import zarr
    from zarr.abc.codec import ArrayBytesCodec
except ImportError as error:
    raise MissingExtraError("zarr") from error

import numpy as np

from voxpatch import _voxpatch

NAME = "voxpatch.packed"
# Integers of up to 32 bits.
SIZES = (1, 2, 4)


@dataclass(frozen=True)
class PackedCodec(ArrayBytesCodec):
    """Integers of 8, 16 or 32 bits, as differences of neighbours in as few bits as they need.

    Args:
        key_every: Planes whose number is a multiple of it can be decoded by themselves; 0: the
            first alone. Smaller is faster to read in part, larger takes less space.
    """

    key_every: int = 8

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "PackedCodec":
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        return {"name": NAME, "configuration": {"key_every": self.key_every}}

    def validate(self, *, shape: Any, dtype: Any, chunk_grid: Any) -> None:
        native = dtype.to_native_dtype()
        if native.kind not in "iu" or native.itemsize not in SIZES:
            raise ValueError(f"{NAME} stores integers of 8, 16 and 32 bits, not {native}")

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        dtype = chunk_spec.dtype.to_native_dtype().newbyteorder("=")
        encoded = chunk_bytes.to_bytes()
        array = _voxpatch._packed_decode(encoded, chunk_spec.shape, dtype)
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(array)

    def _encode_sync(self, chunk_array: Any, chunk_spec: Any) -> Any:
        array = np.require(chunk_array.as_numpy_array(), requirements=["C", "W"])
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        encoded = _voxpatch._packed_encode(array, self.key_every)
        return chunk_spec.prototype.buffer.from_bytes(encoded)

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)

    async def _encode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._encode_sync, chunk_data, chunk_spec)


def array(volume: _voxpatch.Volume) -> zarr.Array:
    """The array of a volume as zarr-python reads it: ``([t,] [c,] z, y, x)``, stored values.

    zarr-python reads chunks that are missing from disk as zeros, without an error; a
    :class:`voxpatch.Volume` raises.
    """
    store, _, _ = str(volume.store).partition("?mode=")
    group = zarr.open_group(f"{store}/{volume.name}", mode="r")
    (image,) = group.attrs["ome"]["multiscales"]
    return zarr.open_array(f"{store}/{volume.name}/{image['datasets'][0]['path']}", mode="r")
