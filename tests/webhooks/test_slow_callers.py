"""Slow callers, and such as speak no HTTP, over real sockets: gunicorn with our worker, and one thread to fight for."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import free_port

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

APP = """
import time

import flask
from webhooks import errors, gunicorn_worker, headers  # as webhooks.app does
from webhooks.bodies import Call

gunicorn_worker.HEARD_WITHIN_S = 1.0
application = flask.Flask("slow")
application.request_class = Call


@application.post("/")
def read():
    return str(len(flask.request.get_data()))


@application.get("/slow")
def slow():
    def pieces():
        for _ in range(4):
            time.sleep(1)
            yield "still here "
    return flask.Response(pieces())
"""


@dataclass(frozen=True)
class Server:
    port: int
    log: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Where one process with one thread listens; it gives a call one second to say what it wants."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow_app.py").write_text(APP)
    port = free_port()
    worker = "webhooks.gunicorn_worker.Worker"
    command = ["-b", f"127.0.0.1:{port}", "-k", worker, "-w", "1", "--threads", "1", "slow_app"]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    log = folder / "log"
    with log.open("wb") as to:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--no-control-socket", *command],
            cwd=folder, env=env, stdout=to, stderr=to,
        )  # fmt: skip
    try:
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, "gunicorn did not start"
            assert time.monotonic() < ends_at
            time.sleep(0.05)
        yield Server(port, log)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture
def port(server: Server) -> int:
    return server.port


def answer(port: int, *parts: bytes, end: bool = False) -> bytes:
    """What comes back until the far side closes; again where the machine did not let the server hear us in time."""
    ends_at = time.monotonic() + PATIENCE_S
    while not (found := _answer(port, *parts, end=end)):
        assert time.monotonic() < ends_at, "no answer at all"
    return found


def _answer(port: int, *parts: bytes, end: bool) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as wire:
        for part in parts:
            wire.sendall(part)
        if end:
            wire.shutdown(socket.SHUT_WR)
        found = b""
        with contextlib.suppress(ConnectionResetError):  # it closes without reading all of what it refuses
            while piece := wire.recv(65536):
                found += piece
        return found


def post(length: int, body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (length, body)


def test_a_head_that_never_ends_holds_its_thread_only_for_so_long(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        assert answer(port, post(5, b"hello")).endswith(b"\r\n\r\n5")


def test_a_body_that_never_ends_is_refused_and_not_taken_for_the_whole(port: int) -> None:
    assert answer(port, post(500, b"only this")).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_was_cut_is_not_taken_for_the_whole(port: int) -> None:
    assert answer(port, post(500, b"only this"), end=True).startswith(b"HTTP/1.1 400 ")


def test_an_answer_that_takes_its_time_comes_whole(port: int) -> None:
    call = b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert answer(port, call).count(b"still here") == 4


@pytest.mark.parametrize(
    ("call", "status", "reason"),
    [
        (b"{marked}\r\n\r\n", 400, "bad_request"),
        (b"GET /?sign={marked} HTTP/1.1\r\nHost: x\r\nbroken {marked}\r\n\r\n", 400, "bad_request"),
        (b"GET /?sign={marked}" + 9000 * b"x" + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "address_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {marked}" + 9000 * b"x" + b"\r\n\r\n", 431, "headers_too_large"),
        (b"POST /?sign={marked} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {marked}\r\n\r\n", 501, "error"),
    ],
)
def test_what_never_reaches_the_application_is_refused_as_the_api_refuses_and_repeated_nowhere(
    server: Server, call: bytes, status: int, reason: str
) -> None:
    head, _, body = answer(server.port, call).partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line.startswith(f"HTTP/1.1 {status} ")
    assert {"Content-Type: application/json", "X-Content-Type-Options: nosniff", "Connection: close"} <= set(headers)
    error = json.loads(body)["error"]
    assert (error["reason"], set(error)) == (reason, {"reason", "message"})
    log = server.log.read_bytes()
    assert b"Refused a call of 127.0.0.1" in log  # written before the answer is
    assert b"{marked}" not in head + body + log
