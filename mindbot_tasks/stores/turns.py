"""Whose turn it is to write to an SQLite database: first among the threads of a process, then among the processes.

SQLite lets one connection write, and the others look again after sleeps that grow to 100 ms. Whoever has just written
wins nearly every time, and under load the door, which has a second, waits behind workers, which have minutes. So the
writers queue here, with locks on two files: who holds the first is the next to get the second, whatever the others do.
SQLite's own lock stays what keeps the data safe; nobody needs these files.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator

from mindbot_tasks.core.errors import DatabaseUnavailable

_SHORTEST_S = 0.0001
_LONGEST_S = 0.001


class Turns:
    """The turns of one database; `path` "": one in memory, that no other process knows."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._files: tuple[int, int] | None = None
        _all.append(self)

    @contextlib.contextmanager
    def take(self, patience_s: float) -> Iterator[None]:
        """This thread's turn. Raises DatabaseUnavailable when it does not come within `patience_s`."""
        ends_at = time.monotonic() + patience_s
        threads = self._threads
        if not threads.acquire(timeout=patience_s):
            raise DatabaseUnavailable("the database is busy with other writers")
        try:
            if not self._path:
                yield
                return
            queue, turn = self._open()
            _lock(queue, ends_at)
            try:
                _lock(turn, ends_at)
            finally:
                fcntl.flock(queue, fcntl.LOCK_UN)
            try:
                yield
            finally:
                fcntl.flock(turn, fcntl.LOCK_UN)
        finally:
            threads.release()

    def forget(self) -> None:
        """In a forked child: the thread that held the lock does not exist here, and files opened before are shared."""
        self._threads = threading.Lock()
        if self._files is not None:
            for file in self._files:
                os.close(file)
            self._files = None

    def _open(self) -> tuple[int, int]:
        if self._files is None:
            try:
                self._files = (_open(f"{self._path}-queue"), _open(f"{self._path}-turn"))
            except OSError as exc:  # its folder is not there, or not ours
                raise DatabaseUnavailable(f"the database cannot be written ({type(exc).__name__})") from exc
        return self._files


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(file: int, ends_at: float) -> None:
    pause_s = _SHORTEST_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends_at:
                raise DatabaseUnavailable("the database is busy with other writers") from None
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_S)
        else:
            return


_all: list[Turns] = []


def _after_fork() -> None:
    for turns in _all:
        turns.forget()


os.register_at_fork(after_in_child=_after_fork)
