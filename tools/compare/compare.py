"""voxpatch beside what one would take instead: one scan, one run, every patch checked."""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import report
import volumes
from caches import Caches
from common import Scan, Triple
from rivals import AGGREGATORS, RIVALS, TRAINERS, chosen
from sections import aggregate, bitflips, random_reads, training

HOME = Path(__file__).resolve().parents[2] / "target/compare"
OF_SCANS = ["warm", "cold", "training", "bitflips"]
SECTIONS = [*OF_SCANS, "aggregate"]
ALL = RIVALS | TRAINERS | AGGREGATORS


class Size:
    """How much is measured."""

    def __init__(self, quick: bool) -> None:
        self.phantom: Triple = (96, 160, 160)
        self.patches: list[Triple] = [
            (128, 128, 128), (64, 64, 64), (32, 192, 192), (1, 512, 512),
        ]  # fmt: skip
        self.counts = {"warm": 60, "cold": 12}
        self.passes, self.epochs, self.flips = 3, 3, 200
        self.training: Triple = (96, 96, 96)
        self.blended: Triple = (96, 96, 96)
        self.volumes: list[Triple] = [(1069, 512, 512), (512, 512, 512)]
        self.limit = 180.0
        if quick:
            self.patches = [(48, 48, 48), (1, 160, 160)]
            self.counts = {"warm": 8, "cold": 4}
            self.passes, self.epochs, self.flips = 2, 1, 10
            self.training = (32, 32, 32)
            self.blended, self.volumes, self.limit = (32, 32, 32), [(101, 80, 72)], 60.0


def shape(text: str) -> Triple:
    z, y, x = map(int, text.split("x"))
    return z, y, x


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/compare/run", description=__doc__)
    parser.add_argument("--scan", type=Path, help="NIfTI file of 16-bit signed integers")
    parser.add_argument("--quick", action="store_true", help="few small patches; without a scan, of a synthetic one")  # fmt: skip
    parser.add_argument("--mirror", type=int, metavar="SLICES", help="measure reads on the scan mirrored to so many slices, too")  # fmt: skip
    parser.add_argument("--only", default="", metavar="NAMES", help="rivals or families of them, with commas between: numpy,voxpatch")  # fmt: skip
    parser.add_argument("--sections", default=",".join(SECTIONS), help="of %(default)s")
    parser.add_argument("--volumes", type=shape, nargs="+", metavar="SHAPE", help="to aggregate, ZxYxX; the first is voxpatch's alone, too, with more classes and twice as deep: 1069x512x512 512x512x512, or with --quick a small one")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="OUT", default=HOME / "results.json", help="%(default)s; the tables and the plot lie beside it")  # fmt: skip
    parser.add_argument("--scratch", type=Path, default=HOME / "scratch", help="%(default)s")
    parser.add_argument("--list", action="store_true", help="name all rivals and stop")
    given = parser.parse_args()
    given.only = [name for name in given.only.split(",") if name]
    given.sections = given.sections.split(",")
    unknown = set(given.only) - {entry.family for entry in ALL.values()} - set(ALL)
    if unknown:
        parser.error(f"no such rival: {', '.join(sorted(unknown))}; --list names them")
    if set(given.sections) - set(SECTIONS):
        parser.error(f"sections are {', '.join(SECTIONS)}")
    of_scans = set(given.sections) & set(OF_SCANS)
    if given.scan is None and of_scans and not given.quick and not given.list:
        parser.error("--scan names the NIfTI file to measure on; or try --quick")
    return given


def machine(caches: Caches) -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        "system": platform.platform(),
        "python": platform.python_version(),
        "cold": caches.how,
    }


def measure(
    given: argparse.Namespace, scratch: Path, failures: random_reads.Failures, caches: Caches
) -> list[dict[str, Any]]:
    """What is measured on scans."""
    if not set(given.sections) & set(OF_SCANS):
        return []
    size = Size(given.quick)
    rivals = chosen(RIVALS, given.only)
    counts = {name: n for name, n in size.counts.items() if name in given.sections}
    if given.scan is None:
        source, voxels, spacing = "synthetic", volumes.phantom(size.phantom), (1.0, 1.0, 1.0)
    else:
        source, (voxels, spacing) = given.scan.name, volumes.load(given.scan)

    def reads(scan: Scan, folder: Path) -> dict[str, Any]:
        if not counts:
            return {}
        return random_reads.run(
            rivals, scan, size.patches, counts, size.passes, folder, failures, caches
        )

    scan = volumes.write(voxels, spacing, scratch / "scan")
    measured = volumes.describe(scan, source) | reads(scan, scratch / "stores")
    if "training" in given.sections:
        trainers = chosen(TRAINERS, given.only)
        folder = scratch / "training"
        measured["training"] = training.run(
            trainers, scan, size.training, size.epochs, folder, failures
        )
    if "bitflips" in given.sections:
        folder = scratch / "bitflips"
        measured["bitflips"] = bitflips.run(rivals, scan, size.flips, folder, failures)
    results = [measured]
    if given.mirror:
        voxels = volumes.mirrored(scan.voxels, given.mirror)
        scan = volumes.write(voxels, spacing, scratch / "mirrored")
        del voxels
        about = volumes.describe(scan, f"{source}, mirrored along z")
        results.append(about | reads(scan, scratch / "mirrored-stores"))
    return results


def aggregated(
    given: argparse.Namespace, scratch: Path, failures: random_reads.Failures
) -> list[dict[str, Any]]:
    if "aggregate" not in given.sections:
        return []
    size, blenders = Size(given.quick), chosen(AGGREGATORS, given.only)
    volumes, folder = given.volumes or size.volumes, scratch / "aggregate"
    return aggregate.run(blenders, volumes, size.blended, size.limit, folder, failures)


def wrong_patches(result: dict[str, Any]) -> list[str]:
    """Rivals that returned a wrong voxel anywhere."""
    names = set()
    for case in result["aggregate"]:
        for results in case["modes"].values():
            names |= {name for name, r in results.items() if r["wrong"]}
    for volume in result["volumes"]:
        groups = [*volume.get("warm", {}).values(), *volume.get("cold", {}).values()]
        for results in [*groups, volume.get("training", {})]:
            names |= {name for name, r in results.items() if r["wrong"]}
    return sorted(names)


def main() -> int:
    given = arguments()
    if given.list:
        for name, entry in ALL.items():
            print(f"{name:24} {entry.family:12} {entry.label}")
        return 0
    given.scratch.mkdir(parents=True, exist_ok=True)
    failures = random_reads.Failures()
    # A quick run leaves alone what other programs have in memory.
    caches = Caches(whole=not given.quick)
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        result = {
            "machine": machine(caches),
            "volumes": measure(given, Path(scratch), failures, caches),
            "aggregate": aggregated(given, Path(scratch), failures),
            "failures": failures,
        }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(result, indent=1))
    tables = report.markdown(result)
    given.json.with_suffix(".md").write_text(tables + "\n")
    print(tables)
    try:
        import plot

        plot.draw(result, given.json.with_suffix(".svg"))
    except ImportError as error:
        print(f"no plot: {error}", file=sys.stderr)
    wrong = wrong_patches(result)
    if wrong:
        print(f"WRONG VOXELS from {', '.join(wrong)}", file=sys.stderr)
    ours = [name for name in [*wrong, *failures] if name.startswith("voxpatch")]
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main())
