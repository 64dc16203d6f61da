"""gunicorn's threads, with an end to how long a caller may take to say what it wants.

Without one, a few connections that send a byte now and then hold all threads for as long as they like.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

HEARD_WITHIN_S = 10.0  #: the head and the body of a call, from its first byte
BYTES_A_S = 100_000  #: a long body, such as a document for the knowledge base, has so much more time


class Worker(ThreadWorker):  # type: ignore[misc]
    """Stops reading from callers that take too long; what is being answered goes on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard_until: dict[TConn, float] = {}

    def handle(self, conn: TConn) -> Any:
        """One call, in a thread."""
        self._heard_until[conn] = time.monotonic() + HEARD_WITHIN_S
        try:
            return super().handle(conn)
        finally:
            self._heard_until.pop(conn, None)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """The head is there, and says how long the body will be."""
        with contextlib.suppress(KeyError):
            self._heard_until[conn] += _length_of(req) / BYTES_A_S
        return super().handle_request(req, conn)

    def notify(self) -> None:
        """In the main thread, every second."""
        super().notify()
        now = time.monotonic()
        for conn, until in list(self._heard_until.items()):
            if until < now and self._heard_until.pop(conn, None) is not None:
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)  # the thread that reads finds the end


def _length_of(req: Any) -> int:
    for name, value in req.headers:
        if name.upper() == "CONTENT-LENGTH" and value.isdecimal():
            return int(value)
    return 0
