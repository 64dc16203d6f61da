"""A server on loopback that answers as a test tells it to and remembers what it was asked."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from mindbot_tasks.core.deadline import Deadline


@dataclass(frozen=True)
class Say:
    """One answer. `cut`: read the request and hang up."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut: bool = False
    delay_s: float = 0.0


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class FarSide:
    """Answers `script` in order, then `otherwise` for ever."""

    def __init__(self) -> None:
        self.script: deque[Say] = deque()
        self.otherwise = Say(200, {"errcode": 0, "errmsg": "ok"})
        self.asked: list[Asked] = []
        self._closing = threading.Event()
        far_side = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                far_side.asked.append(Asked(self.path, headers, body))
                say = far_side.script.popleft() if far_side.script else far_side.otherwise
                if say.delay_s and far_side._closing.wait(say.delay_s):
                    self.close_connection = True
                    return
                if say.cut:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                data = say.body if isinstance(say.body, bytes) else orjson.dumps(say.body)
                self.send_response(say.status)
                self.send_header("Content-Type", say.content_type)
                self.send_header("Content-Length", str(len(data)))
                for name, value in say.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def far_side() -> Iterator[FarSide]:
    server = FarSide()
    try:
        yield server
    finally:
        server.close()


class Until(Deadline):
    """Time enough until something has happened, and none at all afterwards, on a machine of any speed."""

    def __init__(self, happened: Callable[[], object]) -> None:
        super().__init__(60)
        self._happened = happened

    def remaining_s(self) -> float:
        return 0.0 if self._happened() else super().remaining_s()

    def within(self, total_s: float) -> Deadline:
        return self


_taken: list[socket.socket] = []


def unused_port() -> int:
    """A port that nobody listens on, nor will: it stays taken as long as the tests run."""
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    _taken.append(probe)
    port: int = probe.getsockname()[1]
    return port
