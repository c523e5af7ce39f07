"""Emptying the page cache, or what of it belongs to some files."""

import os
from pathlib import Path

WHOLE = Path("/proc/sys/vm/drop_caches")


def drop_whole() -> bool:
    """Drops all of the page cache, if the system permits."""
    try:
        WHOLE.write_text("1")
    except OSError:
        return False
    return True


class Caches:
    """How caches are emptied: all of them where that is wanted and permitted, which takes file
    system structures along, or the pages of the files alone."""

    def __init__(self, whole: bool) -> None:
        self.whole = whole and drop_whole()
        self.how = "page cache dropped" if self.whole else "posix_fadvise on the files"

    def drop(self, folder: Path) -> None:
        """Nothing of the folder's files stays in memory."""
        for path in folder.rglob("*"):
            if path.is_file():
                file = os.open(path, os.O_RDONLY)
                os.fsync(file)  # what is not yet written cannot be dropped
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(file)
        if self.whole:
            drop_whole()
