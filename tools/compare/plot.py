"""The results as bars, one panel for each patch shape, one for training, and one for each way of
blending predictions."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from report import label  # noqa: E402

OURS, OTHERS = "#c1440e", "#9aa5b1"


def bars(
    axes: Any, title: str, results: dict[str, dict[str, Any]], key: str, unit: str, beside: str
) -> None:
    names = sorted(results, key=lambda name: results[name][key])
    values = [results[name][key] for name in names]
    colours = [OURS if name.startswith("voxpatch") else OTHERS for name in names]
    axes.barh([label(name) for name in names], values, color=colours)
    axes.set_xscale("log")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    for at, name in enumerate(names):
        text = f" {values[at]:.0f} ({results[name][beside]:.0f} MB)"
        axes.text(values[at], at, text, va="center", fontsize=6)
    axes.margins(x=0.25)


def draw(result: dict[str, Any], path: Path) -> None:
    panels = []
    for volume in result["volumes"]:
        for section in ("warm", "cold"):
            for patch, results in volume.get(section, {}).items():
                title = f"{volume['shape']}: {section}, {patch}"
                panels.append((title, results, "mb_per_s", "MB/s (on disk)", "stored_mb"))
        if volume.get("training"):
            title = f"{volume['shape']}: training"
            unit = "patches/s (on disk)"
            panels.append((title, volume["training"], "patches_per_s", unit, "stored_mb"))
    for case in result["aggregate"]:
        for mode, results in case["modes"].items():
            title = f"{case['shape']}, {case['title']}: {mode}"
            unit = "MB/s of predictions (memory it took)"
            panels.append((title, results, "mb_per_s", unit, "growth_mb"))
    panels = [panel for panel in panels if panel[1]]
    if not panels:
        return
    rows = -(-len(panels) // 2)
    figure, grid = plt.subplots(rows, 2, figsize=(13, 4.2 * rows), squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    for axes, panel in zip(grid.flat, panels):
        bars(axes, *panel)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
