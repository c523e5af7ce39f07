"""TensorStore on sharded Zarr v3, zstd 3: without a cache, and with one of a quarter of the
volume. A cache that holds the whole volume would measure memory."""

from importlib.metadata import version
from pathlib import Path

import tensorstore as ts
from common import Reader, Scan, Triple, blocks, clipped, small_chunk

SHARD = 256  # voxels along an axis at most, as far as chunks allow


class TensorStore:
    version = version("tensorstore")

    def __init__(self, cache: bool) -> None:
        self.cache = cache

    def spec(self, folder: Path) -> dict:
        path = folder / "scan.zarr"
        return {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}

    def context(self, cache: int) -> ts.Context:
        return ts.Context(
            {
                "cache_pool": {"total_bytes_limit": cache},
                "data_copy_concurrency": {"limit": 1},
                "file_io_concurrency": {"limit": 1},
            }
        )

    def write(self, scan: Scan, patch: Triple, folder: Path) -> None:
        chunk = small_chunk(clipped(patch, scan.shape), 32**3)
        shard = tuple(
            c * min(max(1, SHARD // c), -(-n // c)) for n, c in zip(scan.shape, chunk)
        )
        store = ts.open(
            self.spec(folder),
            create=True,
            dtype=ts.int16,
            shape=scan.shape,
            chunk_layout=ts.ChunkLayout(read_chunk_shape=chunk, write_chunk_shape=shard),
            codec=ts.CodecSpec(
                {"driver": "zarr3", "codecs": [{"name": "zstd", "configuration": {"level": 3}}]}
            ),
            context=self.context(0),
        ).result()
        for block in blocks(scan.shape, shard):
            store[block.slices] = scan.voxels[block.slices]

    def open(self, folder: Path) -> Reader:
        store = ts.open(self.spec(folder), context=self.context(0)).result()
        if self.cache:
            cache = 2 * store.size // 4
            spec = self.spec(folder) | {"recheck_cached_data": "open"}
            store = ts.open(spec, context=self.context(cache)).result()
        return lambda region: store[region.slices].read().result()


RIVALS = {"tensorstore": TensorStore(False), "tensorstore-cache": TensorStore(True)}
