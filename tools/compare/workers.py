"""The parent's side of the workers: starting, asking, and bounding them."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from common import peak_mb
from rivals import Entry

HERE = Path(__file__).resolve().parent
READER = HERE.parents[1] / "target/release/examples/compare"

# What libraries, and libraries below them, take the number of their threads from.
THREADS = [
    "BLOSC_NTHREADS",
    "MEDH5_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
]


class Failure(Exception):
    """A rival gave no answer, or an error for one."""


class Crash(Failure):
    """Its process is gone."""


class Worker:
    """One process with one rival. With one thread it is bound to one core as well, so that what
    a library does beside the reading thread takes its time from it."""

    def __init__(self, name: str, entry: Entry, threads: int = 1, rust: bool = False) -> None:
        python = [sys.executable, str(HERE / "worker.py"), entry.module, name]
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        self.process = subprocess.Popen(
            [str(READER)] if rust else python,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | dict.fromkeys(THREADS, str(threads)),
            cwd=HERE,
        )
        os.sched_setaffinity(self.process.pid, cores)

    def ask(self, do: str, timeout: float = 1800, **message: Any) -> dict[str, Any]:
        watch = threading.Timer(timeout, self.process.kill)
        watch.start()
        try:
            print(json.dumps({"do": do, **message}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        if not line:
            code = self.process.wait()
            raise Crash(f"its process ended with {code} (-9: killed, perhaps after {timeout} s)")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def peak_mb(self) -> float:
        return peak_mb(self.process.pid)

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
