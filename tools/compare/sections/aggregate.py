"""Predictions of overlapping patches, blended into a volume by one thread.

Predictions are in memory before the clock starts. Each rival has a process of its own; what counts
as its memory is what it held at most from then on, pages of files that it maps included. Whatever
it made is compared, after that, with means taken in double precision. voxpatch's seconds end when
the volume is published and synced to the disk; those of rivals that leave an array in memory end
with the array, of which nothing is written.
"""

import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import blending
import nibabel as nib
import numpy as np
from common import Triple, forget_peak, memory_mb, name_of
from rivals import Blender
from sections.random_reads import Failures, Results
from workers import Failure, Worker

# What a process needs beside volumes and predictions, in MB.
LIBRARIES = 1000
TIMEOUT = 3600.0  # seconds


class Case(NamedTuple):
    title: str
    shape: Triple
    channels: int
    rivals: tuple[str, ...] = ()  # all if none is named


def cases(shapes: list[Triple]) -> list[Case]:
    """All rivals on each of the shapes, 2 classes. voxpatch alone on the first with 14 classes, and
    on one twice as deep, which is to take no more memory."""
    first, (z, y, x) = shapes[0], shapes[0]
    classes, deep = "voxpatch-gaussian-argmax", ("voxpatch-gaussian", "voxpatch-gaussian-argmax")
    return [Case("2 classes", shape, 2) for shape in shapes] + [
        Case("14 classes", first, 14, (classes,)),
        Case("2 classes, twice as deep", (2 * z, y, x), 2, deep),
    ]


def write_source(shape: Triple, path: Path) -> None:
    """The scan that predictions would be of: zeros, which the file system need not store."""
    header = nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4)).header
    header.set_data_shape(shape[::-1])
    with path.open("wb") as file:
        header.write_to(file)
        file.truncate(int(header["vox_offset"]) + int(np.prod(shape, dtype=int)))


def enough_memory(entry: Blender, job: blending.Job) -> None:
    voxels = np.prod(job.shape, dtype=int) * job.channels
    needed = entry.volumes * voxels * 4 / 1e6 + job.predictions.stat().st_size / 1e6 + LIBRARIES
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:") and int(line.split()[1]) * 1024 / 1e6 < needed:
            raise Failure(f"not tried: it takes {needed:.0f} MB of memory, which are not free")


def measure(worker: Worker, job: blending.Job, **how: Any) -> dict[str, Any]:
    """Aggregates, and says what that took."""
    worker.ask("load", job=job.as_json())
    pid = worker.process.pid
    forget_peak(pid)
    before, mapped = memory_mb(pid, "VmRSS"), memory_mb(pid, "RssFile")
    result = worker.ask("aggregate", TIMEOUT, job=job.as_json(), **how)
    peak, mapped = worker.peak_mb(), memory_mb(pid, "RssFile") - mapped
    return result | {"peak_mb": peak, "growth_mb": peak - before, "mapped_mb": mapped}


def with_reader(
    worker: Worker, entry: Blender, job: blending.Job, source: Path, truth: Path | None
) -> dict[str, Any]:
    # Another process converts: what it leaves in its heap is no memory of aggregating.
    with Worker("", entry, rust=True) as converter:
        converter.ask("convert", scan=str(source), folder=str(job.folder))
    result = measure(worker, job, mode=entry.mode, argmax=entry.argmax, threads=1)
    raw = job.folder / "voxels"
    shape = job.shape if entry.argmax else (job.channels, *job.shape)
    worker.ask("dump", path=str(raw))
    found = np.memmap(raw, np.uint8 if entry.argmax else np.float32, "r", shape=shape)
    slabs = blending.slabs(truth) if truth else blending.truth(job, entry.mode, job.load())
    return result | blending.deviation(found, slabs, entry.mode)


def with_library(
    worker: Worker, entry: Blender, job: blending.Job, truth: Path
) -> dict[str, Any]:
    result = measure(worker, job)
    if result["patches"] < len(job.regions()):
        return result | {"wrong": None}
    return result | worker.ask("compare", TIMEOUT, truth=str(truth), mode=entry.mode)


def one(
    name: str, entry: Blender, job: blending.Job, source: Path, truth: Path | None
) -> dict[str, Any]:
    enough_memory(entry, job)
    job.folder.mkdir()
    try:
        with Worker(name, entry, rust=entry.rust) as worker:
            version = worker.ask("hello")["version"]
            if entry.rust:
                result = with_reader(worker, entry, job, source, truth)
            else:
                result = with_library(worker, entry, job, truth)
    finally:
        shutil.rmtree(job.folder)
    seconds = result["adding_s"] + (result["finishing_s"] or 0)
    predicted = result["patches"] * job.channels * np.prod(job.patch, dtype=int) * 4 / 1e6
    voxels = np.prod(job.shape, dtype=int) * (1 if entry.argmax else job.channels)
    made = voxels * (1 if entry.argmax else 4) / 1e6 * result["patches"] / len(job.regions())
    return result | {
        "version": version,
        "of_patches": len(job.regions()),
        "seconds": seconds,
        "mb_per_s": predicted / seconds,
        "output_mb_per_s": made / seconds,
        "stored_mb": result.pop("stored_bytes") / 1e6,
    }


def run_case(
    entries: dict[str, Blender], case: Case, job: blending.Job, scratch: Path, failures: Failures
) -> dict[str, Results]:
    """Results by mode and rival."""
    blending.write_predictions(job)
    source = scratch / "source.nii"
    write_source(job.shape, source)
    modes: dict[str, Results] = {}
    for mode in blending.MODES:
        of_mode = {name: entry for name, entry in entries.items() if entry.mode == mode}
        truth = None
        # One that is compared here needs no file of what must come out.
        if len(of_mode) > 1 or not all(entry.rust for entry in of_mode.values()):
            print(f"  what must come of {mode}", file=sys.stderr)
            truth = scratch / "truth.npy"
            blending.write_truth(job, mode, job.load(), truth)
        for name, entry in of_mode.items():
            print(f"  {name}", file=sys.stderr)
            # What is too much for one case may do for the next.
            failed = f"{name}, {name_of(case.shape)}, {case.title}"
            result = failures.attempt(failed, lambda: one(name, entry, job, source, truth))
            if result is not None:
                modes.setdefault(mode, {})[name] = result
    return modes


def run(
    entries: dict[str, Blender],
    shapes: list[Triple],
    patch: Triple,
    limit: float,
    scratch: Path,
    failures: Failures,
) -> list[dict[str, Any]]:
    """Each case with its results by mode and rival."""
    results = []
    for case in cases(shapes):
        chosen = {n: e for n, e in entries.items() if not case.rivals or n in case.rivals}
        if not chosen:
            continue
        print(f"aggregate, {name_of(case.shape)}, {case.title}", file=sys.stderr)
        folder = scratch / "case"
        folder.mkdir(parents=True)
        job = blending.Job(
            predictions=folder / "predictions",
            channels=case.channels,
            shape=case.shape,
            patch=patch,
            overlap=tuple(p // 2 for p in patch),
            folder=folder / "made",
            limit=limit,
        )
        modes = run_case(chosen, case, job, folder, failures)
        shutil.rmtree(folder)
        results.append(
            {
                "title": case.title,
                "shape": name_of(case.shape),
                "channels": case.channels,
                "patch": name_of(patch),
                "overlap": name_of(job.overlap),
                "patches": len(job.regions()),
                "modes": modes,
            }
        )
    return results
