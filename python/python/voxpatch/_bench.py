"""How fast patches are read here."""

import os
from collections.abc import Sequence
from typing import Any

from voxpatch import _voxpatch
from voxpatch._dataset import Dataset
from voxpatch._voxpatch import Volume

Shape = int | Sequence[int]


def bench(
    path: str | os.PathLike[str] | Dataset | Volume,
    *,
    patch: Shape | Sequence[Shape] | None = None,
    starts: str = "as_converted",
    overlap: Shape | None = None,
    threads: int | Sequence[int] = 1,
    count: int | None = None,
    seconds: float = 1.0,
    seed: int = 0,
    cold: bool = False,
    baseline: bool = True,
    scratch: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Measures how fast the patches of volumes are read, beside an uncompressed memory map.

    Triples are in ``z, y, x`` order.

    Args:
        path: The path of a store, a subject or a volume, ``scans.zarr/case01/ct``; or a dataset or
            a volume.
        patch: The shape of patches, or several; by default those that the layout was chosen for.
        starts: ``"as_converted"``, ``"random"``, ``"grid"`` or ``"both"``.
        overlap: Voxels that neighbours on a grid share.
        threads: Number of threads, or several.
        count: Patches in a measurement.
        seconds: The least length of a measurement.
        seed: The seed of random places.
        cold: Also measures with files that are not in memory.
        baseline: Also measures a memory map of a raw copy, which needs room in `scratch`.
        scratch: The folder of the copy.

    Returns:
        The report of ``voxpatch bench --json``.
    """
    if isinstance(path, Volume):
        path = f"{path.store}/{path.name}"
    elif isinstance(path, Dataset):
        path = path.store
    numbers = [threads] if isinstance(threads, int) else list(threads)
    patches: list[Any]
    if patch is None:
        patches = []
    elif isinstance(patch, int) or all(isinstance(n, int) for n in patch):
        patches = [patch]
    else:
        patches = list(patch)
    return _voxpatch._bench(
        os.fspath(path),
        patches=patches,
        starts=starts,
        overlap=overlap,
        threads=numbers,
        count=count,
        seconds=seconds,
        seed=seed,
        cold=cold,
        baseline=baseline,
        scratch=None if scratch is None else os.fspath(scratch),
    )
