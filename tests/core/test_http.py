"""Outgoing HTTP ends in time, whatever the far side does, and says why without giving anything away."""

from __future__ import annotations

import datetime
import email.utils
import socket
import threading
import time
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import (
    Cancelled,
    DeadlineExceeded,
    Draining,
    FarSideError,
    Rejected,
    Throttled,
    Unavailable,
)
from mindbot_tasks.core.http import Http, Patience, Response, get_http, refuse, retry_after_s
from tests.core.far_side import answering, far_side, read_request
from tests.slack import at_most

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"ok": true}'


def silent(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)


def silent_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    connection.recv(1)


def dripping(what: bytes, every_s: float) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        for byte in what:
            connection.sendall(bytes([byte]))
            time.sleep(every_s)

    return serve


def stop_after(seconds: float, exc: type[Exception]) -> Callable[[], None]:
    until = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > until:
            raise exc("stop")

    return check


def test_a_connection_is_used_again() -> None:
    seen: list[int] = []

    def serve(connection: socket.socket) -> None:
        seen.append(connection.getpeername()[1])
        while read_request(connection):
            connection.sendall(OK)

    with far_side(serve) as url:
        http = Http()
        for _ in range(5):
            assert http.request("POST", url, deadline=Deadline(60), json={"a": 1}).json() == {"ok": True}
    assert len(seen) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    closed = threading.Semaphore(0)

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RDWR)
        closed.release()

    with far_side(serve) as url:
        http = Http()
        for _ in range(3):
            assert http.request("GET", url, deadline=Deadline(60)).ok
            assert closed.acquire(timeout=60)


def test_fifty_threads_share_one_client() -> None:
    results: list[bool] = []
    with far_side(answering(OK, keep=True)) as url:
        http = Http()

        def call() -> None:
            results.extend(http.request("GET", url, deadline=Deadline(60)).ok for _ in range(10))

        threads = [threading.Thread(target=call) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert results == [True] * 500


@pytest.mark.parametrize(
    "serve",
    [silent, silent_body, dripping(OK[:-1] + b" " * 500, 0.1), dripping(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 500, 0.1)],
    ids=["silent", "silent in mid-body", "drips the body", "drips a header"],
)
def test_the_deadline_holds_within_a_second(serve: Callable[[socket.socket], None]) -> None:
    with far_side(serve) as url:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            Http().request("GET", url, deadline=Deadline(1.0), provider="slow")
        assert time.monotonic() - started < at_most(2.0)
        assert caught.value.provider == "slow"


@pytest.mark.parametrize("exc", [Draining, Cancelled])
@pytest.mark.parametrize("serve", [silent, silent_body], ids=["before the answer", "in mid-answer"])
def test_a_stop_is_noticed_in_silence(serve: Callable[[socket.socket], None], exc: type[Exception]) -> None:
    with far_side(serve) as url:
        started = time.monotonic()
        with pytest.raises(exc):
            Http().request("GET", url, deadline=Deadline(60, stop_check=stop_after(0.3, exc)))
        assert time.monotonic() - started < at_most(1.3)


@pytest.mark.parametrize(
    ("serve", "patience", "code"),
    [
        (silent, Patience(connect_s=60, first_byte_s=0.6, gap_s=60), "first_byte"),
        (silent_body, Patience(connect_s=60, first_byte_s=60, gap_s=0.6), "gap"),
    ],
)
def test_silence_ends_before_the_deadline(
    serve: Callable[[socket.socket], None], patience: Patience, code: str
) -> None:
    with far_side(serve) as url:
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            Http().request("GET", url, deadline=Deadline(60), patience=patience)
    assert (caught.value.kind, caught.value.code) == ("timeout", code)
    assert not isinstance(caught.value, DeadlineExceeded)
    assert time.monotonic() - started < at_most(2.2)


def test_a_slow_reader_does_not_hold_the_sender_for_ever() -> None:
    def serve(connection: socket.socket) -> None:
        time.sleep(5)

    with far_side(serve) as url, pytest.raises(DeadlineExceeded):
        Http().request("POST", url, deadline=Deadline(0.8), body=b"x" * 50_000_000)


def test_nobody_listens() -> None:
    with far_side(silent) as url:
        pass
    with pytest.raises(Unavailable) as caught:
        Http().request("GET", url, deadline=Deadline(60), provider="p")
    assert (caught.value.kind, caught.value.code, caught.value.provider) == ("connection", "connect", "p")


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # where there is no name server, to ask takes seconds
    with pytest.raises(Unavailable) as caught:
        Http().request("GET", "http://no-such-host.invalid/", deadline=Deadline(60))
    assert caught.value.code == "connect"


def test_a_host_that_never_answers_costs_the_connect_time() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    try:
        for _ in range(4):  # fill the backlog: further connections hang in SYN
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            Http().request(
                "GET",
                f"http://127.0.0.1:{listener.getsockname()[1]}/",
                deadline=Deadline(30),
                patience=Patience(connect_s=0.7, first_byte_s=20, gap_s=15),
            )
        assert caught.value.code == "connect"
        assert time.monotonic() - started < at_most(2)
    finally:
        for one in [*fillers, listener]:
            one.close()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "cut"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", "cut"),
        (b"\x00\x01\x02 what\r\n\r\n", "cut"),
    ],
    ids=["closed", "short body", "short chunk", "no chunk size", "not HTTP"],
)
def test_a_broken_answer_is_unavailable(answer: bytes, code: str) -> None:
    with far_side(answering(answer)) as url, pytest.raises(Unavailable) as caught:
        Http().request("GET", url, deadline=Deadline(60))
    assert (caught.value.kind, caught.value.code) == ("connection", code)


def test_an_answer_above_the_cap_is_not_read() -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with far_side(serve) as url, pytest.raises(Unavailable) as caught:
        Http().request("GET", url, deadline=Deadline(60), max_bytes=200_000)
    assert caught.value.code == "too_big"


def test_redirects_are_not_followed() -> None:
    visited: list[bytes] = []

    def inner(connection: socket.socket) -> None:
        visited.append(read_request(connection))

    with far_side(inner) as secret:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {secret}/\r\nContent-Length: 0\r\n\r\n".encode()
        with far_side(answering(moved)) as url:
            response = Http().request("GET", url, deadline=Deadline(60), provider="p")
    assert response.status == 302
    with pytest.raises(Rejected) as caught:
        refuse(response)
    assert caught.value.kind == "protocol"
    assert visited == []


def test_cookies_and_proxies_of_the_environment_play_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while request := read_request(connection):
            requests.append(request)
            connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: id=7\r\n\r\n"))

    with far_side(serve) as url:
        http = Http()
        for _ in range(2):
            http.request("GET", url, deadline=Deadline(60))
    assert len(requests) == 2
    assert b"ookie" not in requests[1]


def test_a_stream_that_is_left_early_costs_its_connection_and_not_the_next_call() -> None:
    def serve(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000)

    with far_side(serve) as url:
        http = Http()
        for _ in range(2):
            with http.stream("GET", url, deadline=Deadline(60)) as stream:
                assert next(stream.chunks()).startswith(b"xx")


def test_no_secret_of_the_address_is_in_an_error() -> None:
    secret = "-".join(("hunter", "2"))  # not as such in a source line, which a traceback would show
    with far_side(silent) as url:
        pass
    with far_side(answering(b"")) as cutting:
        for bad in (f"{url}/token?secret={secret}", f"{cutting}/{secret}", f"http://[{secret}/", f"http://{secret} /"):
            with pytest.raises(FarSideError) as caught:
                Http().request("GET", bad, deadline=Deadline(60), headers={"X-Key": secret})
            assert secret not in "".join(traceback.format_exception(caught.value)), bad


def test_a_line_break_in_a_header_is_refused() -> None:
    with pytest.raises(Rejected):
        Http().request("GET", "http://127.0.0.1:1/", deadline=Deadline(60), headers={"X": "a\r\nHost: b"})


def test_each_destination_has_its_client() -> None:
    assert get_http() is get_http()


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, Rejected, "invalid_request"),
        (401, Rejected, "auth"),
        (402, Rejected, "quota"),
        (403, Rejected, "auth"),
        (404, Rejected, "not_found"),
        (408, Unavailable, "timeout"),
        (418, Rejected, "invalid_request"),
        (429, Throttled, "rate_limit"),
        (500, Unavailable, "server"),
        (503, Unavailable, "server"),
        (529, Unavailable, "server"),
    ],
)
def test_a_status_has_a_meaning(status: int, error: type[FarSideError], kind: str) -> None:
    with pytest.raises(error) as caught:
        refuse(Response(status, {}, b"", "p"))
    assert type(caught.value) is error
    assert (caught.value.kind, caught.value.status, caught.value.provider) == (kind, status, "p")


def test_retry_after_is_seconds_or_a_date() -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=2)
    assert retry_after_s({"Retry-After": "7"}) == 7
    assert retry_after_s({"Retry-After": "1.5"}) == 1.5
    assert retry_after_s({"Retry-After": email.utils.format_datetime(later, usegmt=True)}) == pytest.approx(
        7200, abs=300
    )
    assert retry_after_s({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after_s({}) is None
    assert retry_after_s({"Retry-After": "soon"}) is None


@given(st.text(max_size=40))
def test_any_retry_after_is_survived(value: str) -> None:
    wait_s = retry_after_s({"Retry-After": value})
    assert wait_s is None or 0 <= wait_s <= 86_400
