"""A bar for long work, on a terminal."""

import sys
import time
from collections.abc import Callable

Progress = Callable[[int, int], object]

WIDTH = 30


class Bar:
    """Draws bytes done of bytes in all, to standard error; erased by :meth:`close`."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.began = time.monotonic()
        self.drawn = 0

    def __call__(self, done: int, total: int) -> None:
        share = min(done / total, 1) if total else 1
        filled = round(share * WIDTH)
        seconds = time.monotonic() - self.began
        rate = done / seconds / 1e6 if seconds > 0 else 0
        line = f"{self.what} [{'#' * filled}{'.' * (WIDTH - filled)}] {share:4.0%} {rate:.0f} MB/s"
        self._draw(line)

    def close(self) -> None:
        if self.drawn:
            self._draw("")
            sys.stderr.write("\r")

    def _draw(self, line: str) -> None:
        sys.stderr.write("\r" + line.ljust(self.drawn))
        sys.stderr.flush()
        self.drawn = len(line)


class shown:  # noqa: N801 - used as a function
    """The callback for a `progress` argument, for the length of a `with`.

    None shows a bar if standard error is a terminal, True shows one anyway, False shows none, and a
    function is called with bytes done and bytes in all.
    """

    def __init__(self, progress: bool | Progress | None, what: str) -> None:
        if progress is None:
            progress = sys.stderr is not None and sys.stderr.isatty()
        self.bar = Bar(what) if progress is True else None
        self.callback = progress if callable(progress) else self.bar

    def __enter__(self) -> Progress | None:
        return self.callback

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.close()
