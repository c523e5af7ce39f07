"""Overlapping predictions to blend, and what must come of them. Axes are z, y, x throughout.

The patches of a grid lie `patch - overlap` apart, the last of each axis moved back to the border,
and are numbered in lexicographic order, as in TorchIO, MONAI, Patchly and voxpatch.

There are a few distinct predictions, and patch `n` has number `n % distinct` of them. They look
like what a network gives: class `c` of prediction `i` at voxel `r` is the softmax over classes of

    8 f_c(r) + g_ic(r) + 0.05 e_ic(r)

where `f` and `g` are smooth, of mean 0 and variance 1: sums of four plane waves at random. `f` has
a period of the step between patches, so that patches that overlap agree, as those of a network do;
`g` is another for each prediction; `e` is white Gaussian noise, which makes noise of the low bits.
"""

import itertools
import math
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import numpy as np
from common import Region, Triple

DISTINCT = 12
MODES = ("crop", "average", "hann", "gaussian", "gaussian of Patchly")
# Each library may be off by as much from means in double precision: twice that from each other.
TOLERANCE = 5e-6


class Job(NamedTuple):
    """Predictions to blend."""

    predictions: Path  # DISTINCT of them: raw float32, n, c, z, y, x
    channels: int
    shape: Triple
    patch: Triple
    overlap: Triple
    folder: Path  # empty, for what is written
    limit: float  # seconds, for rivals that heed it

    @property
    def step(self) -> Triple:
        return tuple(p - o for p, o in zip(self.patch, self.overlap))

    def load(self) -> np.ndarray:
        voxels = np.fromfile(self.predictions, np.float32)
        return voxels.reshape(DISTINCT, self.channels, *self.patch)

    def starts(self) -> list[list[int]]:
        """Along each axis."""
        axes = zip(self.shape, self.patch, self.step)
        return [[*range(0, n - p, step), n - p] for n, p, step in axes]

    def regions(self) -> list[Region]:
        return [Region(start, self.patch) for start in itertools.product(*self.starts())]

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"predictions": str(self.predictions), "folder": str(self.folder)}

    @classmethod
    def of_json(cls, job: dict[str, Any]) -> "Job":
        triples = {key: tuple(job[key]) for key in ("shape", "patch", "overlap")}
        paths = {key: Path(job[key]) for key in ("predictions", "folder")}
        return cls(**(job | triples | paths))


def waves(random: np.random.Generator, shape: Triple, period: Triple) -> np.ndarray:
    """Four plane waves of the period, in sum of variance 1."""
    axes = [2 * math.pi / p * np.arange(n) for n, p in zip(shape, period)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    field = np.zeros(shape)
    for _ in range(4):
        (a, b, c), phase = random.integers(-1, 2, 3), random.uniform(0, 2 * math.pi)
        if a == b == c == 0:
            a = 1
        field += math.sqrt(0.5) * np.cos(a * z + b * y + c * x + phase)
    return field


def write_predictions(job: Job) -> None:
    random = np.random.default_rng(11)
    agreed = [waves(random, job.patch, job.step) for _ in range(job.channels)]
    with job.predictions.open("wb") as file:
        for _ in range(DISTINCT):
            logits = np.empty((job.channels, *job.patch))
            for common, own in zip(agreed, logits):
                own[:] = 8 * common + waves(random, job.patch, tuple(2 * p for p in job.patch))
                own += 0.05 * random.standard_normal(job.patch)
            logits = np.exp(logits - logits.max(axis=0))
            (logits / logits.sum(axis=0)).astype(np.float32).tofile(file)


def window(mode: str, patch: Triple) -> np.ndarray | None:
    """The weights of a patch's voxels, from their definitions; None for weights of 1."""
    places = [np.arange(n) - (n - 1) / 2 for n in patch]
    if mode == "hann":
        axes = [np.cos(math.pi * at / (n + 1)) ** 2 for n, at in zip(patch, places)]
    elif mode == "gaussian":
        axes = [np.exp(-((8 * at / n) ** 2) / 2) for n, at in zip(patch, places)]
    elif mode == "gaussian of Patchly":
        # Its ends lie at -n / 2 and n / 2; it has no floor.
        axes = [np.exp(-((8 * at / (n - 1)) ** 2) / 2) for n, at in zip(patch, places)]
    else:
        return None
    weights = axes[0][:, None, None] * axes[1][:, None] * axes[2]
    return np.maximum(weights, max(weights.min(), 1e-3)) if mode == "gaussian" else weights


def kept(start: int, patch: int, overlap: int, length: int) -> tuple[int, int]:
    """What mode crop keeps of a patch along an axis: half the overlap is cut off but at borders."""
    end = start + patch
    return start + (overlap // 2 if start > 0 else 0), end - (overlap // 2 if end < length else 0)


def truth(job: Job, mode: str, predictions: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """What must come out, c, z, y, x: slabs of planes and where each begins."""
    weights, regions = window(mode, job.patch), job.regions()
    weights = np.ones(job.patch) if weights is None else weights
    for top in range(0, job.shape[0], job.step[0]):
        bottom = min(top + job.step[0], job.shape[0])
        sums = np.zeros((job.channels, bottom - top, *job.shape[1:]))
        total = np.zeros(sums.shape[1:])
        for number, (start, shape) in enumerate(regions):
            ends = tuple(s + n for s, n in zip(start, shape))
            ranges = list(zip(start, ends))
            if mode == "crop":
                ranges = [kept(*of) for of in zip(start, shape, job.overlap, job.shape)]
            ranges[0] = (max(ranges[0][0], top), min(ranges[0][1], bottom))
            if ranges[0][0] >= ranges[0][1]:
                continue
            inside = tuple(slice(a - s, b - s) for (a, b), s in zip(ranges, start))
            at = tuple(slice(a - s, b - s) for (a, b), s in zip(ranges, (top, 0, 0)))
            predicted = predictions[number % DISTINCT][(slice(None), *inside)]
            if mode == "crop":
                sums[(slice(None), *at)], total[at] = predicted, 1
            else:
                for of_channel, channel in zip(sums, predicted):
                    of_channel[at] += channel * weights[inside]
                total[at] += weights[inside]
        yield top, (sums / total).astype(np.float32)


def write_truth(job: Job, mode: str, predictions: np.ndarray, path: Path) -> None:
    whole = np.lib.format.open_memmap(path, "w+", np.float32, (job.channels, *job.shape))
    for top, slab in truth(job, mode, predictions):
        whole[:, top : top + slab.shape[1]] = slab


def slabs(path: Path, planes: int = 32) -> Iterator[tuple[int, np.ndarray]]:
    """Those of a truth that was written."""
    whole = np.load(path, mmap_mode="r")
    for top in range(0, whole.shape[1], planes):
        yield top, whole[:, top : top + planes]


def deviation(
    found: Any, slabs: Iterator[tuple[int, np.ndarray]], mode: str
) -> dict[str, float]:
    """Voxels, of any channel, that are `wrong`, and the `largest` deviation. Crop has to be equal
    bit for bit. Of label maps, z, y, x, a class is wrong if another is more likely by more than
    may come from rounding."""
    wrong, largest = 0, 0.0
    labels = len(found.shape) == 3
    for top, slab in slabs:
        planes = slice(top, top + slab.shape[1])
        if labels:
            chosen = np.asarray(found[planes])[None].astype(np.intp)
            off = slab.max(axis=0) - np.take_along_axis(slab, chosen, axis=0)[0]
        else:
            off = np.abs(np.asarray(found[:, planes]) - slab)
        allowed = 0 if mode == "crop" else TOLERANCE * (1 + labels)
        wrong += int(np.count_nonzero(~(off <= allowed)))  # NaN is wrong
        largest = max(largest, float(off.max()))
    return {"wrong": wrong, "largest": largest}
