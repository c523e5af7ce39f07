"""Volumes as dask arrays."""

from typing import Any

from voxpatch._voxpatch import Volume
from voxpatch.errors import MissingExtraError


def to_dask(volume: Volume) -> Any:
    """A dask array of a volume, one task for each shard."""
    try:
        import dask.array
    except ImportError as error:
        raise MissingExtraError("dask") from error
    leading = volume.shape[: volume.ndim - 3]
    chunks = (*(1 for _ in leading), *volume.shards)
    name = f"voxpatch-{volume.name}-{volume.axes}-{volume.digest}"
    return dask.array.from_array(volume, chunks=chunks, name=name)
