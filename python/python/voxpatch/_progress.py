"""A bar for long work, on a terminal."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

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


@contextlib.contextmanager
def shown(progress: bool | Progress | None, what: str) -> Iterator[Progress | None]:
    """The callback for a `progress` argument, for the length of a ``with``.

    None shows a bar if standard error is a terminal, True shows one anyway, False shows none, and a
    function is called with bytes done and bytes in all.
    """
    if progress is None:
        progress = sys.stderr is not None and sys.stderr.isatty()
    if progress is not True:
        yield progress or None
        return
    bar = Bar(what)
    try:
        yield bar
    finally:
        bar.close()
