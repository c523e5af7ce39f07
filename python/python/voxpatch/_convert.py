"""Scans to volumes, and back."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from voxpatch import _voxpatch
from voxpatch._dataset import Dataset, create
from voxpatch._progress import Progress, shown
from voxpatch._voxpatch import Volume

Path = str | os.PathLike[str]
Shape = int | Sequence[int]
Patches = Shape | Sequence[Shape] | Mapping[Sequence[int], float]


def convert(
    scan: Any,
    store: Path | Dataset,
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
    spacing: Sequence[float] | None = None,
    affine: Any = None,
    overwrite: bool = False,
    skip_same: bool = False,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> dict[str, Any] | None:
    """Converts a scan into a volume of a store, which is made if there is none.

    Memory does not grow with the scan. Nothing is left of a conversion that fails or is interrupted
    by Ctrl-C. Triples are in ``z, y, x`` order.

    Args:
        scan: The file; or several files that are the channels of one scan; or an array of axes
            ``z, y, x`` or ``c, z, y, x``, such as one that `numpy.memmap` or `numpy.load` maps.
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
        fourth_axis: ``"time"`` or ``"channels"``: the meaning of a file's fourth axis.
        narrow: Stores floats that are whole numbers as integers.
        labels: Names of labels.
        spacing: Millimetres between the voxels of an array, 1 by default.
        affine: The matrix that takes the indices ``(x, y, z, 1)`` of an array's voxel to RAS+
            millimetres, instead of `spacing`.
        overwrite: Replaces an existing volume, which readers see until the new one is complete.
        skip_same: Keeps a volume that was converted from the same file with the same options, and
            returns None.
        threads: Number of threads; by default one for each processor.
        progress: A function of bytes done and bytes in all; True for a bar; False for none; by
            default a bar on a terminal. Its exceptions stop the conversion.

    Returns:
        The report of ``voxpatch convert --json``.
    """
    layout = _layout(patch, patch_mm, overlap, codec, chunk, shard)
    words = {
        "kind": kind,
        "fourth_axis": fourth_axis,
        "narrow": narrow,
        "labels": None if labels is None else list(labels.items()),
        "overwrite": overwrite,
        "skip_same": skip_same,
        "threads": threads,
    }
    handle = (store if isinstance(store, Dataset) else create(store))._handle
    with shown(progress, name or "convert") as callback:
        if not hasattr(scan, "__array__"):
            if spacing is not None or affine is not None:
                raise TypeError("spacing and affine go with an array: a file says its own")
            scans = [scan] if isinstance(scan, str | os.PathLike) else list(scan)
            files: list[str] = [os.fspath(file) for file in scans]
            return _voxpatch._convert_files(files, handle, name, layout, words, callback)
        if name is None or skip_same or fourth_axis is not None:
            raise TypeError("an array needs a name, and takes neither skip_same nor fourth_axis")
        import numpy as np

        matrix = _matrix(spacing, affine)
        array = np.require(scan, requirements="C")
        return _voxpatch._convert_array(array, matrix, handle, name, layout, words, callback)


def _matrix(spacing: Sequence[float] | None, affine: Any) -> list[list[float]]:
    import numpy as np

    if affine is None:
        z, y, x = (1, 1, 1) if spacing is None else spacing
        return np.diag([x, y, z, 1.0]).tolist()
    if spacing is not None:
        raise TypeError("give spacing or affine")
    matrix = np.asarray(affine, "float64")
    if matrix.shape != (4, 4):
        raise TypeError(f"affine must have the shape (4, 4), not {matrix.shape}")
    return matrix.tolist()


def _layout(patch, patch_mm, overlap, codec, chunk, shard) -> dict[str, Any]:
    return {
        "patch": patch,
        "patch_mm": patch_mm,
        "overlap": overlap,
        "codec": codec,
        "chunk": chunk,
        "shard": shard,
    }


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
    layout = _layout(patch, patch_mm, overlap, codec, chunk, shard)
    path = None if scan is None else os.fspath(scan)
    return _voxpatch._plan(path, shape, spacing, dtype, times, channels, layout)
