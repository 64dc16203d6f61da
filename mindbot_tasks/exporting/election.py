"""One of the processes that count into the same directory, by a lock on a file in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


class Election:
    """Whether this process is the one that pushes; once it is, it stays so until it ends."""

    def __init__(self, directory: str) -> None:
        """directory "": its counters are its own, so it pushes them."""
        self._path = Path(directory) / "push.lock" if directory else None
        self._descriptor: int | None = None

    def won(self) -> bool:
        if self._path is None or self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            # of the process, not of the descriptor: a child that is forked meanwhile does not hold it
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        log.info("metrics_pushed_from_here")
        return True

    def leave(self) -> None:
        """For tests."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
