"""An append-only log of one JSON object per line, for the generator and the nemesis."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson


def now_ms() -> int:
    """The clock of every log in a trial: all of them are written on one machine."""
    return time.time_ns() // 1_000_000


class Journal:
    """Each line is in the kernel's hands when `note` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)

    def note(self, event: str, **fields: Any) -> None:
        """One line; `at_ms` is now unless given."""
        line = {"event": event, "at_ms": now_ms(), **fields}
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read(path: Path) -> list[dict[str, Any]]:
    """All lines, in order."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
