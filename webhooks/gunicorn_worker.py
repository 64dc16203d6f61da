"""gunicorn's threads, with an end to how long a caller may take to say what it wants, and JSON where it is refused.

Without an end, a few connections that send a byte now and then hold all threads for as long as they like. What is no
HTTP, or has a head larger than gunicorn takes, never reaches the application: it is answered here.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors as refusals
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import TConn, ThreadWorker

HEARD_WITHIN_S = 10.0  #: the head and the body of a call, from its first byte
BYTES_A_S = 100_000  #: a long body, such as a document for the knowledge base, has so much more time

#: the first that fits; whatever is none of these is a fault of ours
_STATUS_OF = (
    (refusals.InvalidResponseHeader, 500),
    (refusals.InvalidResponseHeaderName, 500),
    (refusals.ConfigurationProblem, 500),
    (refusals.LimitRequestLine, 414),
    (refusals.LimitRequestHeaders, 431),
    (refusals.UnsupportedTransferCoding, 501),
    (refusals.ExpectationFailed, 417),
    (refusals.ForbiddenProxyRequest, 403),
    (refusals.ParseException, 400),
    (ssl.SSLError, 400),
)


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

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Refuse a call in the shape of the API's errors. Neither the answer nor the log repeats anything of the call,
        as gunicorn's own would: its query may hold a signature."""
        status = next((status for kind, status in _STATUS_OF if isinstance(exc, kind)), 500)
        if status != 500:
            self.log.warning("Refused a call of %s: %s", addr[0] if addr else "a socket", type(exc).__name__)
        else:
            self.log.error("Failed to handle a call", exc_info=exc)
        with contextlib.suppress(OSError):  # whoever called has gone
            write_nonblock(client, _refusal(status))

    def notify(self) -> None:
        """In the main thread, every second."""
        super().notify()
        now = time.monotonic()
        for conn, until in list(self._heard_until.items()):
            if until < now and self._heard_until.pop(conn, None) is not None:
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)  # the thread that reads finds the end


def _refusal(status: int) -> bytes:
    from webhooks import errors, headers  # not above: the arbiter, which imports this module, loads no Flask

    body = json.dumps({"error": errors.told(status)}).encode()
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.ALWAYS.items())]
    return "\r\n".join([*lines, "Cache-Control: no-store", "\r\n"]).encode() + body


def _length_of(req: Any) -> int:
    for name, value in req.headers:
        if name.upper() == "CONTENT-LENGTH" and value.isdecimal():
            return int(value)
    return 0
