"""Blosc2 arrays as nnU-Net stores them: chunks and blocks by its own rule, memory-mapped."""

import ast
import math
import typing
import zipfile
from pathlib import Path
from typing import Any, Callable

import blosc2
import numpy as np
from common import Reader, Scan, Triple

blosc2.set_nthreads(1)

WHEELS = Path(__file__).resolve().parents[3] / "target/compare/wheels"
SOURCE = "nnunetv2/training/dataloading/nnunet_dataset.py"


def chunk_rule() -> Callable[..., tuple[tuple[int, ...], tuple[int, ...]]]:
    """nnU-Net's rule out of its wheel. Importing the package would ask for all that it needs."""
    wheel = next(WHEELS.glob("nnunetv2-*.whl"), None)
    if wheel is None:
        raise FileNotFoundError(f"no wheel of nnunetv2 in {WHEELS}: run tools/compare/install")
    source = zipfile.ZipFile(wheel).read(SOURCE)
    rules = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == "comp_blosc2_params"
    ]
    names: dict[str, Any] = {"math": math, "np": np, **vars(typing)}
    exec(compile(ast.Module(rules, []), SOURCE, "exec"), names)
    return names["comp_blosc2_params"]


class Blosc2:
    version = blosc2.__version__

    def __init__(self, codec: blosc2.Codec, level: int) -> None:
        self.cparams = {
            "codec": codec,
            "clevel": level,
            "filters": [blosc2.Filter.SHUFFLE],
            "nthreads": 1,
        }

    def write(self, scan: Scan, patch: Triple, folder: Path) -> None:
        # With a channel before the voxels, and two axes for slices.
        spatial = patch[1:] if patch[0] == 1 else patch
        blocks, chunks = chunk_rule()((1, *scan.shape), spatial, bytes_per_pixel=2)
        blosc2.asarray(
            np.ascontiguousarray(scan.voxels),
            urlpath=str(folder / "scan.b2nd"),
            chunks=chunks[1:],
            blocks=blocks[1:],
            cparams=self.cparams,
        )

    def open(self, folder: Path) -> Reader:
        array = blosc2.open(
            str(folder / "scan.b2nd"), mode="r", mmap_mode="r", dparams={"nthreads": 1}
        )
        return lambda region: array[region.slices]


RIVALS = {
    "blosc2-lz4hc": Blosc2(blosc2.Codec.LZ4HC, 5),
    "blosc2-zstd": Blosc2(blosc2.Codec.ZSTD, 8),
}
