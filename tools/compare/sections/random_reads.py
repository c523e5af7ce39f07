"""Random patches of one volume by one thread: from the page cache, and from the disk.

Passes go round: each rival once, then each again, so that what else the machine does meets all
alike. The first pass is checked and not timed; the best of the others counts. Cold, every pass
has a new process, counts the opening, and is checked as well; the median counts.
"""

import contextlib
import functools
import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any, Callable

from caches import Caches
from common import Region, Scan, Triple, digest, name_of, random_regions
from rivals import Entry
from workers import Failure, Worker

Results = dict[str, dict[str, Any]]  # by name of rival


class Failures(dict[str, str]):
    """Why rivals dropped out, by name."""

    def attempt(self, name: str, action: Callable[[], Any]) -> Any:
        """The action's result, or None for one that fails, which ends the rival's part."""
        if name in self:
            return None
        try:
            return action()
        except Failure as failure:
            self[name] = str(failure)
            print(f"  {name}: {failure}", file=sys.stderr)
            return None


def as_json(scan: Scan) -> dict[str, Any]:
    return json.loads(json.dumps(scan._asdict(), default=str))


def write(
    name: str, entry: Entry, scan: Scan, patch: Triple, folder: Path
) -> dict[str, Any]:
    """Stores the scan, unless it is there: the seconds and bytes of it."""
    record = folder.with_suffix(".json")
    if record.exists():
        return json.loads(record.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with Worker(name, entry) as worker:
        version = worker.ask("hello")["version"]
        written = worker.ask("write", scan=as_json(scan), patch=patch, folder=str(folder))
    written["version"] = version
    record.write_text(json.dumps(written))
    return written


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".json").unlink(missing_ok=True)


def wrong(answer: dict[str, Any], expected: list[int]) -> int:
    return sum(a != b for a, b in zip(answer["digests"], expected, strict=True))


def expected(scan: Scan, regions: list[Region]) -> list[int]:
    voxels = scan.voxels
    return [digest(voxels[region.slices], region.shape) for region in regions]


def warm(
    entries: dict[str, Entry],
    folders: dict[str, Path],
    scan: Scan,
    regions: list[Region],
    passes: int,
    failures: Failures,
) -> Results:
    results: Results = {}
    truth = expected(scan, regions)
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for name, folder in folders.items():
            worker = stack.enter_context(Worker(name, entries[name], rust=entries[name].rust))

            def first() -> dict[str, Any]:
                worker.ask("hello")
                worker.ask("open", folder=str(folder))
                return worker.ask("pass", regions=regions, check=True)

            answer = failures.attempt(name, first)
            if answer is not None:
                workers[name] = worker
                results[name] = {"wrong": wrong(answer, truth), "passes": []}
        for _ in range(passes):
            for name, worker in workers.items():
                answer = failures.attempt(
                    name, lambda: worker.ask("pass", regions=regions, check=False)
                )
                if answer is not None:
                    results[name]["passes"].append(answer["seconds"])
        for name, worker in workers.items():
            if name not in failures:
                results[name]["seconds"] = min(results[name]["passes"])
                results[name]["peak_mb"] = worker.peak_mb()
    return {name: result for name, result in results.items() if "seconds" in result}


def cold(
    entries: dict[str, Entry],
    folders: dict[str, Path],
    scan: Scan,
    regions: list[Region],
    passes: int,
    failures: Failures,
    caches: Caches,
) -> Results:
    results: Results = {}
    truth = expected(scan, regions)
    for _ in range(passes):
        # All start before the first drop: it would make the next one read its libraries anew.
        with contextlib.ExitStack() as stack:
            workers = {}
            for name in folders:
                worker = stack.enter_context(Worker(name, entries[name], rust=entries[name].rust))
                if failures.attempt(name, lambda: worker.ask("hello")):
                    workers[name] = worker
            for name, worker in workers.items():
                folder = folders[name]

                def once() -> tuple[float, int]:
                    caches.drop(folder)
                    opening = worker.ask("open", folder=str(folder))
                    answer = worker.ask("pass", regions=regions, check=True)
                    return opening["seconds"] + answer["seconds"], wrong(answer, truth)

                measured = failures.attempt(name, once)
                if measured is not None:
                    result = results.setdefault(name, {"wrong": 0, "passes": []})
                    result["passes"].append(measured[0])
                    result["wrong"] += measured[1]
    for result in results.values():
        result["seconds"] = statistics.median(result["passes"])
    return results


def with_rates(results: Results, regions: list[Region]) -> Results:
    voxels = sum(d * h * w for _, (d, h, w) in regions)
    for result in results.values():
        result["mb_per_s"] = 2 * voxels / 1e6 / result["seconds"]
        result["patches_per_s"] = len(regions) / result["seconds"]
    return results


def run(
    entries: dict[str, Entry],
    scan: Scan,
    patches: list[Triple],
    counts: dict[str, int],
    passes: int,
    scratch: Path,
    failures: Failures,
    caches: Caches,
) -> dict[str, dict[str, Results]]:
    """Results by `warm` and `cold`, patch shape, and rival; `counts` are the patches of each."""
    sections = {"warm": warm, "cold": functools.partial(cold, caches=caches)}
    measured: dict[str, dict[str, Results]] = {section: {} for section in counts}
    folders: dict[str, Path] = {}
    for patch in patches:
        written: Results = {}
        for name, entry in entries.items():
            folder = scratch / (name if not entry.by_patch else f"{name}-{name_of(patch)}")
            done = failures.attempt(name, lambda: write(name, entry, scan, patch, folder))
            if done is not None:
                written[name] = done
                folders[name] = folder
        folders = {name: folder for name, folder in folders.items() if name not in failures}
        for section in counts:
            print(f"{section}, patches of {name_of(patch)}", file=sys.stderr)
            regions = random_regions(scan.shape, patch, counts[section])
            results = sections[section](entries, folders, scan, regions, passes, failures)
            for name, result in with_rates(results, regions).items():
                result["stored_mb"] = written[name]["bytes"] / 1e6
                result["convert_s"] = written[name]["seconds"]
                result["version"] = written[name]["version"]
            measured[section][name_of(patch)] = results
        for name, folder in folders.items():
            if entries[name].by_patch:
                remove(folder)
    for folder in folders.values():
        remove(folder)
    return measured
