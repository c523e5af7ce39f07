"""What becomes of a flipped bit: noticed when reading, harmless, or wrong voxels without a word.

One bit of one file at a time, each bit as likely, then the whole array is opened and read.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import volumes
from common import Region, Scan, clipped
from rivals import Entry
from sections.random_reads import Failures, Results, expected, write, wrong
from workers import Crash, Failure, Worker

SHAPE = (64, 96, 96)
PATCH = (32, 32, 32)
TIMEOUT = 30.0  # seconds


def middle(scan: Scan, folder: Path) -> Scan:
    shape = clipped(SHAPE, scan.shape)
    start = tuple((n - s) // 2 for n, s in zip(scan.shape, shape))
    voxels = scan.voxels[Region(start, shape).slices]
    return volumes.write(np.ascontiguousarray(voxels), scan.spacing, folder)


def outcome(worker: Worker, folder: Path, region: Region, truth: list[int]) -> str:
    try:
        worker.ask("open", TIMEOUT, folder=str(folder))
        answer = worker.ask("pass", TIMEOUT, regions=[region], check=True)
    except Crash:
        return "crashed"
    except Failure:
        return "noticed"
    return "silently wrong" if wrong(answer, truth) else "harmless"


def flip(name: str, entry: Entry, folder: Path, scan: Scan, flips: int) -> dict[str, int]:
    region = Region((0, 0, 0), scan.shape)
    truth = expected(scan, [region])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    ends = np.cumsum([path.stat().st_size for path in files])
    counts = dict.fromkeys(["silently wrong", "noticed", "harmless", "crashed"], 0)
    random = np.random.default_rng(3)
    worker = Worker(name, entry, rust=entry.rust)
    for place, bit in zip(random.integers(0, ends[-1], flips), random.integers(0, 8, flips)):
        n = int(np.searchsorted(ends, place, side="right"))
        offset = int(place - (ends[n - 1] if n else 0))
        with files[n].open("r+b") as file:
            file.seek(offset)
            (byte,) = file.read(1)

            def put(value: int) -> None:
                file.seek(offset)
                file.write(bytes([value]))
                file.flush()

            put(byte ^ (1 << int(bit)))
            found = outcome(worker, folder, region, truth)
            put(byte)
        counts[found] += 1
        if found == "crashed":
            worker.close()
            worker = Worker(name, entry, rust=entry.rust)
    worker.close()
    return counts


def run(
    entries: dict[str, Entry], scan: Scan, flips: int, scratch: Path, failures: Failures
) -> Results:
    part = middle(scan, scratch / "part")
    results: Results = {}
    for name, entry in entries.items():
        print(f"bit flips, {name}", file=sys.stderr)
        folder = scratch / name
        if failures.attempt(name, lambda: write(name, entry, part, PATCH, folder)):
            counts = failures.attempt(name, lambda: flip(name, entry, folder, part, flips))
            if counts is not None:
                results[name] = counts
        shutil.rmtree(folder, ignore_errors=True)
    return results
