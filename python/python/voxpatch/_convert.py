"""Scans to volumes, and back."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from voxpatch import _voxpatch
from voxpatch._dataset import create
from voxpatch._progress import Progress, shown
from voxpatch._voxpatch import Volume

Path = str | os.PathLike[str]
Shape = int | Sequence[int]
Patches = Shape | Sequence[Shape] | Mapping[Sequence[int], float]


def convert(
    scan: Path | Sequence[Path],
    store: Path,
    name: str | None = None,
    *,
    patch: Patches | None = None,
    patch_mm: Sequence[float] | Sequence[Sequence[float]] | None = None,
    overlap: Shape | None = None,
    codec: str | None = None,
    chunk: Shape | None = None,
    shard: Shape | None = None,
    kind: str | None = None,
    fourth_axis: str | None = None,
    narrow: bool = False,
    labels: Mapping[int, str] | None = None,
    overwrite: bool = False,
    skip_same: bool = False,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> dict[str, Any] | None:
    """Converts a scan into a volume of a store, which is made if there is none.

    Memory does not grow with the scan. Nothing is left of a conversion that fails or is interrupted
    by Ctrl-C. Triples are in ``z, y, x`` order.

    Args:
        scan: The file, or several files that are the channels of one scan.
        store: The folder of the store.
        name: The volume's name, ``SUBJECT/IMAGE``; by default made from the file's name.
        patch: The shape of the patches that will be read, in voxels; or several; or shapes with
            their relative frequency, ``{(32, 64, 64): 3, (1, 512, 512): 1}``. Chunks are chosen for
            them.
        patch_mm: The same in millimetres.
        overlap: Patches will be read on a grid, and share this many voxels with their neighbours.
        codec: The codec of chunks with an optional level, ``"packed:1"``; ``"auto"`` tries several.
        chunk: The shape of chunks, instead of a chosen one.
        shard: The shape of shards, files of many chunks.
        kind: ``"intensity"`` or ``"label"``; by default as the voxels and the file's name tell.
        fourth_axis: ``"time"`` or ``"channels"``: the meaning of a fourth axis.
        narrow: Stores floats that are whole numbers as integers.
        labels: Names of labels.
        overwrite: Replaces an existing volume, which readers see until the new one is complete.
        skip_same: Keeps a volume that was converted from the same file with the same options, and
            returns None.
        threads: Number of threads; by default one for each processor.
        progress: A function of bytes done and bytes in all; True for a bar; False for none; by
            default a bar on a terminal. Its exceptions stop the conversion.

    Returns:
        The report of ``voxpatch convert --json``.
    """
    files = [scan] if isinstance(scan, str | os.PathLike) else list(scan)
    with shown(progress, name or "convert") as callback:
        return _voxpatch._convert(
            [os.fspath(file) for file in files],
            create(store)._handle,
            name,
            patch=patch,
            patch_mm=patch_mm,
            overlap=overlap,
            codec=codec,
            chunk=chunk,
            shard=shard,
            kind=kind,
            fourth_axis=fourth_axis,
            narrow=narrow,
            labels=None if labels is None else list(labels.items()),
            overwrite=overwrite,
            skip_same=skip_same,
            threads=threads,
            progress=callback,
        )


def export(
    volume: Volume,
    path: Path,
    *,
    level: int | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> dict[str, Any]:
    """Writes a volume to a NIfTI file, ``.nii`` or ``.nii.gz``, by its ending.

    The file appears when it is complete. Memory does not grow with the volume.

    Args:
        volume: The volume.
        path: The file.
        level: The level of gzip, 0 to 9.
        overwrite: Replaces an existing file.
        threads: Number of threads; by default one for each processor.
        progress: As of :func:`convert`.

    Returns:
        The report of ``voxpatch export --json``.
    """
    with shown(progress, "export") as callback:
        return _voxpatch._export(
            volume,
            os.fspath(path),
            level=level,
            overwrite=overwrite,
            threads=threads,
            progress=callback,
        )


def plan(
    scan: Path | None = None,
    *,
    shape: Shape | None = None,
    spacing: Sequence[float] | None = None,
    dtype: Any = None,
    times: int = 1,
    channels: int = 1,
    patch: Patches | None = None,
    patch_mm: Sequence[float] | Sequence[Sequence[float]] | None = None,
    overlap: Shape | None = None,
    codec: str | None = None,
    chunk: Shape | None = None,
    shard: Shape | None = None,
) -> dict[str, Any]:
    """The layout that a scan would get, and its expected costs.

    Args:
        scan: A file; or instead of it, the `shape`, the `spacing` in mm and the `dtype` of a volume,
            with `times` and `channels`. Triples are in ``z, y, x`` order.
        patch: As of :func:`convert`; so are the other arguments.

    Returns:
        The report of ``voxpatch plan --json``.
    """
    return _voxpatch._plan(
        None if scan is None else os.fspath(scan),
        shape=shape,
        spacing=spacing,
        dtype=dtype,
        times=times,
        channels=channels,
        patch=patch,
        patch_mm=patch_mm,
        overlap=overlap,
        codec=codec,
        chunk=chunk,
        shard=shard,
    )
