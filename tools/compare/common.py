"""What the parent, the workers and the rivals share."""

import itertools
import time
import zlib
from pathlib import Path
from typing import Any, Callable, NamedTuple, Protocol

import numpy as np

Triple = tuple[int, int, int]  # z, y, x


class Region(NamedTuple):
    """A cuboid of a volume."""

    start: Triple
    shape: Triple

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        (z, y, x), (d, h, w) = self.start, self.shape
        return slice(z, z + d), slice(y, y + h), slice(x, x + w)


class Scan(NamedTuple):
    """The same 16-bit voxels twice: for rivals that convert arrays, and those that take files."""

    array: Path  # .npy, z, y, x
    nifti: Path  # .nii
    shape: Triple
    spacing: tuple[float, float, float]  # mm, z, y, x

    @property
    def voxels(self) -> np.ndarray:
        return np.load(self.array, mmap_mode="r")

    @property
    def nbytes(self) -> int:
        return 2 * self.shape[0] * self.shape[1] * self.shape[2]


Reader = Callable[[Region], np.ndarray]


class Rival(Protocol):
    """One library with one choice of settings. Its module may fail to import: it is then listed
    with the reason."""

    version: str

    def write(self, scan: Scan, patch: Triple, folder: Path) -> None:
        """Stores the scan in the folder, laid out for patches of this shape."""

    def open(self, folder: Path) -> Reader:
        """What returns the 16-bit voxels of a region as an array of its shape."""


class Trainer(Protocol):
    """A training pipeline: random patches of several NIfTI files, in batches of tensors."""

    version: str

    def train(self, job: dict[str, Any]) -> dict[str, Any]:
        """Runs `epochs` over `paths`. Returns seconds, patches, and how many of them were wrong."""


class Aggregated(NamedTuple):
    """What became of predictions."""

    volume: Any  # c, z, y, x; None if it was given up
    adding: float  # seconds, until the last patch was taken
    finishing: float | None  # from then until the volume is there; None where adding holds both
    patches: int  # that were taken
    stored: int = 0  # bytes on disk


class Aggregator(Protocol):
    """What blends the predictions of overlapping patches (`blending.Job`) in one thread."""

    version: str

    def aggregate(self, job: Any, predictions: np.ndarray) -> Aggregated:
        """Patch `n` has prediction `n % len(predictions)`, each c, z, y, x."""


class Copies:
    """Makes copies, and knows how long that took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, copy: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        made = copy()
        self.seconds += time.perf_counter() - begun
        return made


def digest(patch: np.ndarray, shape: Triple) -> int:
    """CRC-32 of the voxels as 16-bit integers; -1, which none has, if it is not such a patch."""
    integers = np.ascontiguousarray(patch, np.int16)
    if patch.shape != tuple(shape) or not np.array_equal(integers, patch):
        return -1
    return zlib.crc32(integers)


def small_chunk(patch: Triple, voxels: int) -> Triple:
    """For formats that leave the chunk to the user: the patch, halved along its longest axis
    until a chunk has no more than so many voxels."""
    chunk = list(patch)
    while np.prod(chunk) > voxels:
        longest = chunk.index(max(chunk))
        chunk[longest] = (chunk[longest] + 1) // 2
    return chunk[0], chunk[1], chunk[2]


def blocks(shape: Triple, block: Triple) -> list[Region]:
    """The blocks of a volume, cut off at its end."""
    starts = itertools.product(*(range(0, n, b) for n, b in zip(shape, block)))
    return [
        Region(start, tuple(min(b, n - s) for s, b, n in zip(start, block, shape)))
        for start in starts
    ]


def clipped(patch: Triple, shape: Triple) -> Triple:
    """A patch no larger than the volume."""
    return tuple(min(p, n) for p, n in zip(patch, shape))


def random_regions(shape: Triple, patch: Triple, count: int, seed: int = 42) -> list[Region]:
    """Regions of the patch's shape anywhere inside the volume, each start as likely."""
    random = np.random.default_rng(seed)
    patch = clipped(patch, shape)
    starts = random.integers(0, [n - p + 1 for n, p in zip(shape, patch)], (count, 3))
    return [Region(tuple(map(int, start)), patch) for start in starts]


def name_of(shape: Triple) -> str:
    return "x".join(map(str, shape))


def stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def peak_mb(pid: int | str = "self") -> float:
    """The most memory a process has held, in MB, pages of mapped files included."""
    return memory_mb(pid, "VmHWM")


def memory_mb(pid: int | str, field: str) -> float:
    """A field of a process's status, in MB: `VmRSS` is what it holds now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def forget_peak(pid: int) -> None:
    """From now on, `peak_mb` is of what is still to come."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
