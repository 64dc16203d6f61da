"""The append-only log of every call that an emulator received; a checker needs nothing else to judge.

One JSON object per line. A call's line is in the kernel's hands before the caller sees a byte of the answer, so
neither killing the emulator nor killing the caller makes the two disagree:

    {"event":"call","seq":7,"at_ms":...,"emulator":"dingtalk","method":"POST","path":"/robot/sendBySession",
     "auth":"9f86d081884c","status":200,"accepted":true,"fault":null, ...what the emulator knows about it}
    {"event":"end","seq":7,"at_ms":...,"outcome":"sent","ms":1.9}

`accepted`: the call had its effect (a text became visible, a model was paid). `outcome`: how the answer ended.
"""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import orjson

Outcome = Literal["sent", "cut", "client_gone", "stopped"]
Record = dict[str, Any]

_TAIL_BYTES = 4 * 1024 * 1024  # longer than any line: bodies end at 2 MB


@functools.lru_cache(maxsize=4096)
def fingerprint(secret: str) -> str:
    """Twelve hex digits that tell two credentials apart and give neither away."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:12]


class CallLog:
    """Numbers the calls, keeps the latest in memory and all of them in a file, if there is one."""

    def __init__(self, emulator: str, path: Path | None = None, *, keep: int = 20_000) -> None:
        self.emulator = emulator
        self._recent: deque[Record] = deque(maxlen=keep)
        self._fd: int | None = None
        self._seq = 0
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._seq = self._continue_after()

    def received(self, fields: Record) -> Record:
        """Write the line of a call and return its record. Raises OSError when it cannot be kept."""
        return self._remember("call", fields)

    def noted(self, event: str, fields: Record) -> Record:
        """Write the line of something that the emulator did by itself, such as a webhook that it sent."""
        return self._remember(event, fields)

    def ended(self, record: Record, outcome: Outcome, started: float) -> None:
        """Say how the answer to a call ended; `started` is of time.perf_counter()."""
        record["outcome"] = outcome
        record["ms"] = took_ms = round((time.perf_counter() - started) * 1000, 2)
        if self._fd is not None:
            self._write({"event": "end", "seq": record["seq"], "at_ms": _now_ms(), "outcome": outcome, "ms": took_ms})

    def since(self, seq: int, limit: int = 1000) -> list[Record]:
        """The kept records with a higher number than `seq`, oldest first."""
        found = (record for record in list(self._recent) if record["seq"] > seq)
        return [record for record, _ in zip(found, range(limit), strict=False)]

    def forget(self) -> None:
        """Empty the memory; the file and the numbering go on."""
        self._recent.clear()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _remember(self, event: str, fields: Record) -> Record:
        self._seq += 1
        record = {"event": event, "seq": self._seq, "at_ms": _now_ms(), "emulator": self.emulator, **fields}
        self._write(record)
        self._recent.append(record)
        return record

    def _write(self, record: Record) -> None:
        if self._fd is None:
            return
        # One unbuffered write: what os.write took survives a SIGKILL of this process.
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS, default=str)
        written = os.write(self._fd, line)
        while written < len(line):
            written += os.write(self._fd, line[written:])

    def _continue_after(self) -> int:
        """The last number in the file; a line that was torn off is closed, so that the next one stands alone."""
        assert self._fd is not None  # noqa: S101 - for the type checker; the caller has just opened it
        size = os.fstat(self._fd).st_size
        tail = os.pread(self._fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        if tail and not tail.endswith(b"\n"):
            os.write(self._fd, b"\n")
        return max((line["seq"] for line in _parse(tail.splitlines())), default=0)


def read(path: Path) -> list[Record]:
    """The records of a log file in order, each call with its outcome (None: it never ended).

    A line that was torn off by a crash of the machine is left out.
    """
    records: dict[int, Record] = {}
    with path.open("rb") as lines:
        for line in _parse(lines):
            if line["event"] != "end":
                records[line["seq"]] = {**line, "outcome": None}
            elif line["seq"] in records:
                records[line["seq"]] |= {"outcome": line["outcome"], "ms": line["ms"]}
    return list(records.values())


def _parse(lines: Any) -> Iterator[Record]:
    for line in lines:
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(record, dict) and isinstance(record.get("seq"), int):
            yield record


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
