"""Zarr v3, sharded, zstd 3: zarr-python alone, and with zarrs as its codec pipeline."""

from importlib.metadata import version
from pathlib import Path

import zarr
from common import Reader, Scan, Triple, blocks, clipped, small_chunk
from zarr.codecs import ZstdCodec

SHARD = 256  # voxels along an axis at most, as far as chunks allow


class Zarr:
    def __init__(self, pipeline: str | None, voxels: int) -> None:
        self.voxels = voxels
        self.settings = {"async.concurrency": 1, "threading.max_workers": 1}
        self.version = version("zarr")
        if pipeline:
            self.settings["codec_pipeline.path"] = pipeline
            self.version = f"{version('zarrs')}, zarr {self.version}"

    def write(self, scan: Scan, patch: Triple, folder: Path) -> None:
        zarr.config.set(self.settings)
        chunk = small_chunk(clipped(patch, scan.shape), self.voxels)
        shard = tuple(
            c * min(max(1, SHARD // c), -(-n // c)) for n, c in zip(scan.shape, chunk)
        )
        array = zarr.create_array(
            folder / "scan.zarr",
            shape=scan.shape,
            dtype="int16",
            chunks=chunk,
            shards=shard,
            compressors=ZstdCodec(level=3),
        )
        for block in blocks(scan.shape, shard):
            array[block.slices] = scan.voxels[block.slices]

    def open(self, folder: Path) -> Reader:
        zarr.config.set(self.settings)
        array = zarr.open_array(folder / "scan.zarr", mode="r")
        return lambda region: array[region.slices]


RIVALS = {"zarr": Zarr(None, 32**3), "zarrs": Zarr("zarrs.ZarrsCodecPipeline", 32**3)}
