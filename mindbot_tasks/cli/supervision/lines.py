"""The one output of many processes: each line carries the time and the role that wrote it."""

from __future__ import annotations

import os
import sys
import threading
from datetime import datetime
from typing import TextIO

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)  # cyan, yellow, green, ... and their bright forms


class Lines:
    """Writes whole lines, one at a time, from any thread."""

    def __init__(self, roles: list[str], *, quiet: bool = False, output: TextIO | None = None) -> None:
        self.output = output or sys.stdout
        self.quiet = quiet
        self.width = max((len(role) for role in roles), default=0)
        self._colour_of = {role: COLOURS[place % len(COLOURS)] for place, role in enumerate(roles)}
        self._colourful = self.output.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._gone = False

    def of_role(self, role: str, text: str) -> None:
        """A line that a process wrote; not shown when quiet."""
        if not self.quiet:
            self._write(role, text)

    def note(self, role: str, text: str) -> None:
        """A line of ours about a role; not shown when quiet."""
        self.of_role(role, text)

    def say(self, role: str, text: str) -> None:
        """A line of ours about a role; always shown."""
        self._write(role, text, bold=True)

    def plain(self, text: str) -> None:
        """Lines without a prefix, such as the banner."""
        with self._lock:
            self._print(text)

    def _write(self, role: str, text: str, *, bold: bool = False) -> None:
        prefix = f"{datetime.now().astimezone():%H:%M:%S} {role.ljust(self.width)} | "
        if self._colourful:
            prefix = f"\033[{self._colour_of.get(role, 37)}m{prefix}\033[0m"
            text = f"\033[1m{text}\033[0m" if bold else text
        with self._lock:
            self._print(prefix + text)

    def _print(self, text: str) -> None:
        if self._gone:
            return
        try:
            print(text, file=self.output, flush=True)
        except UnicodeEncodeError:
            plain = text.encode("ascii", "backslashreplace").decode("ascii")
            print(plain, file=self.output, flush=True)
        except (OSError, ValueError):
            self._gone = True  # nobody reads us any more (closed terminal, ended pager): work goes on
