"""Random patches of several subjects for a network: as float tensors, two threads or workers.

TorchIO and MONAI read their NIfTI files on each visit, ten patches to a visit, or keep all of
them in memory. voxpatch streams one long epoch from its store, patches of all subjects mixed: in Rust,
and to tensors by `PatchLoader`; and TorchIO's queue reads from the store. A batch has two patches, of
MONAI's crops the ten of a visit.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import volumes
from common import Region, Scan, Triple, digest, stored_bytes
from rivals import Entry
from sections.random_reads import Failures, Results, wrong
from workers import Worker

THREADS = 2
SUBJECTS = 4
PER_VISIT = 10
BATCH = 2
# A pass must take a while: the reader takes as many times more patches.
FASTER = 10


def with_reader(name: str, entry: Entry, job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    folder = scratch / name
    names = [f"subject{n}/image" for n in range(len(job["paths"]))]
    with Worker(name, entry, THREADS) as writer:
        version = writer.ask("hello")["version"]
        writer.ask("write_subjects", **job, volumes=names, folder=str(folder))
    voxels = {f"subject{n}": np.load(path, mmap_mode="r") for n, path in enumerate(job["arrays"])}
    request = {
        "folder": str(folder),
        "subjects": list(voxels),
        "patch": job["patch"],
        "threads": THREADS,
    }
    with Worker(name, entry, THREADS, rust=True) as reader:
        checked = reader.ask("train", **request, per_visit=PER_VISIT, check=True)
        truth = [
            digest(voxels[subject][Region(tuple(start), tuple(shape)).slices], tuple(shape))
            for subject, start, shape, _ in checked["drawn"]
        ]
        found = {"digests": [digest for *_, digest in checked["drawn"]]}
        per_visit = job["epochs"] * FASTER * PER_VISIT
        timed = reader.ask("train", **request, per_visit=per_visit, check=False)
        result = {
            "version": version,
            "seconds": timed["seconds"],
            "patches": timed["patches"],
            "wrong": wrong(found, truth),
            "peak_mb": reader.peak_mb(),
            "stored_mb": stored_bytes(folder) / 1e6,
        }
    shutil.rmtree(folder)
    return result


def with_library(name: str, entry: Entry, job: dict[str, Any]) -> dict[str, Any]:
    with Worker(name, entry, THREADS) as worker:
        version = worker.ask("hello")["version"]
        result = worker.ask("train", **job) | {"version": version, "peak_mb": worker.peak_mb()}
    suffix = ".gz" if ".gz" in name else ""
    stored = sum(Path(path + suffix).stat().st_size for path in job["paths"])
    return {"stored_mb": stored / 1e6} | result


def run(
    entries: dict[str, Entry],
    scan: Scan,
    patch: Triple,
    epochs: int,
    scratch: Path,
    failures: Failures,
) -> Results:
    paths = volumes.subjects(scan, SUBJECTS, 120, scratch / "subjects")
    job = {
        "paths": [str(path) for path in paths],
        "arrays": [str(path.with_suffix(".npy")) for path in paths],
        "patch": patch,
        "per_visit": PER_VISIT,
        "batch": BATCH,
        "epochs": epochs,
        "threads": THREADS,
    }
    results: Results = {}
    for name, entry in entries.items():
        print(f"training, {name}", file=sys.stderr)
        if entry.rust:
            result = failures.attempt(name, lambda: with_reader(name, entry, job, scratch))
        else:
            result = failures.attempt(name, lambda: with_library(name, entry, job))
        if result is not None:
            results[name] = result | {"patches_per_s": result["patches"] / result["seconds"]}
    shutil.rmtree(scratch / "subjects")
    return results
