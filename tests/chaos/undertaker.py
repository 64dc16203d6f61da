"""Ends the process groups of a trial when the trial is gone, even by SIGKILL: `python -m tests.chaos.undertaker`.

Reads "+ID" and "-ID" lines from its standard input, and kills what is left when that is closed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    """Returns when the other end of standard input is gone and every group with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trial decides
    groups: set[int] = set()
    for line in sys.stdin:
        sign, group = line[0], int(line[1:])
        groups.add(group) if sign == "+" else groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
