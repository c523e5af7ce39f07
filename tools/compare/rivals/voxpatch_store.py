"""voxpatch: converted by its command; read by `reader.rs`, which `worker.py` has no part in."""

import os
import subprocess
from pathlib import Path
from typing import Any

from common import Scan, Triple, clipped, name_of

ROOT = Path(__file__).resolve().parents[3]
COMMAND = os.environ.get("VOXPATCH_BIN", str(ROOT / "target/release/voxpatch"))


class Voxpatch:
    version = subprocess.run(
        [COMMAND, "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]

    def __init__(self, codec: str) -> None:
        self.codec = [] if codec == "default" else ["--codec", codec]

    def convert(self, path: Path, name: str, patch: Triple, folder: Path, threads: int) -> None:
        done = subprocess.run(
            [COMMAND, "convert", str(path), "--out", str(folder), "--name", name]
            + ["--patch", name_of(patch), "--threads", str(threads), *self.codec],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    def write(self, scan: Scan, patch: Triple, folder: Path) -> None:
        self.convert(scan.nifti, "scan/image", clipped(patch, scan.shape), folder, threads=1)

    def write_subjects(self, job: dict[str, Any]) -> None:
        for name, path in zip(job["volumes"], job["paths"]):
            self.convert(Path(path), name, job["patch"], Path(job["folder"]), job["threads"])


RIVALS = {
    f"voxpatch-{codec}": Voxpatch(codec)
    for codec in ("default", "blosc-zstd:5", "packed:8", "packed:1", "auto")
}
