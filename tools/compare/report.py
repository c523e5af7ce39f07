"""Tables of results, as Markdown."""

from typing import Any, Callable

from rivals import AGGREGATORS, RIVALS, TRAINERS

Results = dict[str, dict[str, Any]]
Column = tuple[str, Callable[[dict[str, Any]], str]]

READS: list[Column] = [
    ("MB/s", lambda r: f"{r['mb_per_s']:.0f}"),
    ("patches/s", lambda r: f"{r['patches_per_s']:.0f}"),
    ("on disk MB", lambda r: f"{r['stored_mb']:.1f}"),
    ("convert s", lambda r: f"{r['convert_s']:.1f}"),
    ("wrong", lambda r: str(r["wrong"])),
]
TRAINING: list[Column] = [
    ("patches/s", lambda r: f"{r['patches_per_s']:.0f}"),
    ("peak MB", lambda r: f"{r['peak_mb']:.0f}"),
    ("of a worker", lambda r: f"{r['child_peak_mb']:.0f}" if r.get("child_peak_mb") else ""),
    ("prepare s", lambda r: f"{r['prepare_s']:.1f}" if r.get("prepare_s") else ""),
    ("on disk MB", lambda r: f"{r['stored_mb']:.0f}"),
    ("wrong", lambda r: str(r["wrong"])),
]
AGGREGATION: list[Column] = [
    ("s", lambda r: f"{r['seconds']:.1f}"),
    ("of it in the end", lambda r: "" if r["finishing_s"] is None else f"{r['finishing_s']:.1f}"),
    ("MB/s of predictions", lambda r: f"{r['mb_per_s']:.0f}"),
    ("MB/s of output", lambda r: f"{r['output_mb_per_s']:.0f}"),
    ("peak MB", lambda r: f"{r['peak_mb']:.0f}"),
    ("beyond before", lambda r: f"{r['growth_mb']:.0f}"),
    ("of it mapped", lambda r: f"{r['mapped_mb']:.0f}" if r["mapped_mb"] > 20 else ""),
    ("on disk MB", lambda r: f"{r['stored_mb']:.0f}" if r["stored_mb"] else ""),
    (
        "wrong",
        lambda r: f"ended after {r['patches']} patches" if r["wrong"] is None else str(r["wrong"]),
    ),
]
FLIPS: list[Column] = [
    (what, lambda r, what=what: str(r[what]))
    for what in ("silently wrong", "noticed", "harmless", "crashed")
]


def label(name: str) -> str:
    return (AGGREGATORS | TRAINERS | RIVALS)[name].label


def table(results: Results, columns: list[Column], best: str | None = None) -> str:
    """One row for each rival; the largest `best` first."""
    names = sorted(results, key=lambda n: -results[n][best]) if best else list(results)
    rows = [["", *(title for title, _ in columns)], ["---"] * (len(columns) + 1)]
    rows += [[label(name), *(show(results[name]) for _, show in columns)] for name in names]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def speeds(by_patch: dict[str, Results]) -> str:
    """MB/s of all patch shapes side by side, and the largest store of each rival."""
    names = list(dict.fromkeys(name for results in by_patch.values() for name in results))
    first = next(iter(by_patch.values()))
    names.sort(key=lambda name: -first.get(name, {"mb_per_s": 0})["mb_per_s"])
    rows = [["MB/s", *by_patch, "on disk MB"], ["---"] * (len(by_patch) + 2)]
    for name in names:
        found = [results.get(name) for results in by_patch.values()]
        stored = [r["stored_mb"] for r in found if r]
        sizes = f"{min(stored):.0f}" + (f" to {max(stored):.0f}" if max(stored) > min(stored) else "")
        rows.append([label(name), *(f"{r['mb_per_s']:.0f}" if r else "" for r in found), sizes])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def aggregation(cases: list[dict[str, Any]]) -> list[str]:
    parts = []
    for case in cases:
        parts.append(
            f"## aggregate, {case['shape']}, {case['title']}: {case['patches']} patches of "
            f"{case['patch']}, overlap {case['overlap']}"
        )
        for mode, results in case["modes"].items():
            parts += [f"### {mode}", table(results, AGGREGATION, "mb_per_s")]
    return parts


def markdown(result: dict[str, Any]) -> str:
    machine = result["machine"]
    parts = [
        f"{machine['processor']}, {machine['cores']} cores. Cold: {machine['cold']}. "
        f"MB/s are voxels of the returned patches, 2 bytes each."
    ]
    for volume in result["volumes"]:
        parts.append(f"## {volume['source']}, {volume['shape']}, {volume['mb']:.1f} MB")
        for section in ("warm", "cold"):
            by_patch = volume.get(section)
            if by_patch and any(by_patch.values()):
                parts.append(f"### {section}")
                parts.append(speeds({p: r for p, r in by_patch.items() if r}))
                for patch, results in by_patch.items():
                    parts.append(f"#### {section}, {patch}")
                    parts.append(table(results, READS, "mb_per_s"))
        if volume.get("training"):
            parts += ["### training", table(volume["training"], TRAINING, "patches_per_s")]
        if volume.get("bitflips"):
            parts += ["### one bit flipped", table(volume["bitflips"], FLIPS)]
    parts += aggregation(result["aggregate"])
    if result["failures"]:
        parts.append("## Without a result")
        parts.append("\n".join(f"- {name}: {why}" for name, why in result["failures"].items()))
    return "\n\n".join(parts)
