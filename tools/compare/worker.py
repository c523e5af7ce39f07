"""A process that measures one rival: `worker.py MODULE NAME`.

Answers JSON requests, one per line, as described in `reader.rs`. Beside those, `write` stores a
scan, trainers take `train`, and aggregators `load`, `aggregate` and `compare`. The library is
imported before the first answer, so that no measurement counts that.
"""

import gc
import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import blending
from common import Region, Scan, digest, stored_bytes


def scan_of(message: dict[str, Any]) -> Scan:
    return Scan(
        Path(message["array"]), Path(message["nifti"]),
        tuple(message["shape"]), tuple(message["spacing"]),
    )  # fmt: skip


class Worker:
    def __init__(self, rival: Any) -> None:
        self.rival = rival
        self.read = None
        self.predictions = self.volume = None

    def hello(self, message: dict[str, Any]) -> dict[str, Any]:
        return {"version": self.rival.version}

    def write(self, message: dict[str, Any]) -> dict[str, Any]:
        folder = Path(message["folder"])
        begun = time.perf_counter()
        self.rival.write(scan_of(message["scan"]), tuple(message["patch"]), folder)
        return {"seconds": time.perf_counter() - begun, "bytes": stored_bytes(folder)}

    def write_subjects(self, message: dict[str, Any]) -> dict[str, Any]:
        self.rival.write_subjects(message)
        return {}

    def open(self, message: dict[str, Any]) -> dict[str, Any]:
        self.read = None
        gc.collect()
        begun = time.perf_counter()
        self.read = self.rival.open(Path(message["folder"]))
        return {"seconds": time.perf_counter() - begun}

    def passed(self, message: dict[str, Any]) -> dict[str, Any]:
        read = self.read
        regions = [Region(tuple(start), tuple(shape)) for start, shape in message["regions"]]
        if not message["check"]:
            begun = time.perf_counter()
            for region in regions:
                read(region)
            return {"seconds": time.perf_counter() - begun}
        begun = time.perf_counter()
        patches = [read(region) for region in regions]
        seconds = time.perf_counter() - begun
        return {"seconds": seconds, "digests": [digest(p, r.shape) for p, r in zip(patches, regions)]}

    def train(self, message: dict[str, Any]) -> dict[str, Any]:
        return self.rival.train(message)

    def load(self, message: dict[str, Any]) -> dict[str, Any]:
        self.predictions = blending.Job.of_json(message["job"]).load()
        return {}

    def aggregate(self, message: dict[str, Any]) -> dict[str, Any]:
        job = blending.Job.of_json(message["job"])
        self.volume, *numbers = self.rival.aggregate(job, self.predictions)
        return dict(zip(["adding_s", "finishing_s", "patches", "stored_bytes"], numbers))

    def compare(self, message: dict[str, Any]) -> dict[str, Any]:
        slabs = blending.slabs(Path(message["truth"]))
        return blending.deviation(self.volume, slabs, message["mode"])

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        actions = {
            "hello": self.hello,
            "write": self.write,
            "write_subjects": self.write_subjects,
            "open": self.open,
            "pass": self.passed,
            "train": self.train,
            "load": self.load,
            "aggregate": self.aggregate,
            "compare": self.compare,
        }
        return actions[message["do"]](message)


def reason(error: BaseException) -> str:
    traceback.print_exc()
    return f"{type(error).__name__}: {error}"


def main() -> None:
    # What libraries print may not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, name = sys.argv[1:]
    worker = failed = None
    try:
        worker = Worker(importlib.import_module(f"rivals.{module}").RIVALS[name])
    except BaseException as error:
        failed = reason(error)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line)) if worker else {"error": failed}
        except BaseException as error:
            answer = {"error": reason(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
