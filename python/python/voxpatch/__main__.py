"""The command line: ``python -m voxpatch`` and the script ``voxpatch``."""

import signal
import sys

from voxpatch._voxpatch import run_command


def main() -> None:
    """Runs the command line of this process, and ends the process with its exit code."""
    # Python's handler would raise a KeyboardInterrupt when the command has already cleaned up. One
    # that ignores Ctrl-C, as below nohup, stays: the command respects it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run_command(["voxpatch", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
