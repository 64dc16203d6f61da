"""The other system of the generic platform: takes the signed callbacks and remembers what they said."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson

from mindbot_tasks.core.errors import SignatureInvalid
from mindbot_tasks.platforms import standard_webhooks


class Receiver:
    """Answers 200 to calls whose signature holds, 401 to others."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._lock = threading.Lock()
        self._pieces: dict[int, dict[int, str]] = {}
        self._totals: dict[int, int] = {}
        self.url = ""

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Remember one piece of an answer; the same piece twice counts once. Raises SignatureInvalid."""
        standard_webhooks.verify([self._secret], headers, body, now_s=time.time())
        data = orjson.loads(body)["data"]
        with self._lock:
            self._pieces.setdefault(data["message_id"], {})[data["number"]] = data["text"]
            self._totals[data["message_id"]] = data["total"]

    def answer_to(self, message_id: int) -> str | None:
        """The whole answer; None as long as a piece is missing."""
        with self._lock:
            pieces = self._pieces.get(message_id, {})
            if not pieces or len(pieces) < self._totals[message_id]:
                return None
            return "\n".join(pieces[number] for number in sorted(pieces))


@contextlib.contextmanager
def receiving(secret: str) -> Iterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
                status = 200
            except SignatureInvalid:
                status = 401
            except (orjson.JSONDecodeError, KeyError, TypeError):
                status = 400
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/answers"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="callbacks", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
