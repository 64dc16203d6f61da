"""After a failure only one caller at a time tries again; the others learn at once that it is no use."""

from __future__ import annotations

import threading
import time


class Holdoff:
    """For something that many threads call and that may be away: a broker, a database."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._until: float | None = None  #: None: it works

    def allows(self) -> bool:
        """True: go ahead. False: it failed a moment ago, and somebody else will see whether it is back."""
        if self._until is None:
            return True
        with self._lock:
            now = time.monotonic()
            if self._until is not None and now < self._until:
                return False
            self._until = now + self._pause_s
            return True

    def failed(self) -> None:
        """It did not work."""
        with self._lock:
            self._until = time.monotonic() + self._pause_s

    def worked(self) -> None:
        """It worked."""
        if self._until is not None:
            with self._lock:
                self._until = None
