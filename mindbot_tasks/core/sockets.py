"""Sockets that never wait long: every read wakes twice a second to look at the deadline, and counts silence itself.

`requests` and `urllib3` only know a time-out between two bytes, so a server that drips holds a thread for ever, and
nobody can interrupt a silent one. Here the time-out of the socket is a short slice, and the loop around it lives below
http.client: headers, chunk borders and TLS records go through it too.
"""

from __future__ import annotations

import errno
import ipaddress
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import MindBotError, Unavailable
from mindbot_tasks.core.ssrf import ANYWHERE, Destinations

SLICE_S = 0.5
"""How long a thread may sleep in the kernel before it looks at the deadline again."""

_IDLE_S = 30.0  # a kept connection older than this is likely to be half closed: open a new one instead
_NAMES_KEPT_S = 30.0


class Watch:
    """How long one exchange may be silent; sits on its socket while the exchange lasts."""

    __slots__ = (
        "_connecting_since",
        "body_began",
        "connect_s",
        "deadline",
        "first_byte_s",
        "gap_s",
        "sent",
        "sent_at",
        "sock",
    )

    def __init__(self, deadline: Deadline, *, connect_s: float, first_byte_s: float, gap_s: float) -> None:
        self.deadline = deadline
        self.connect_s = connect_s
        self.first_byte_s = first_byte_s
        self.gap_s = gap_s
        self.sent = False  # from here on the far side may have acted on the request
        self.sent_at = time.monotonic()
        self.body_began = False
        self.sock: Any = None
        self._connecting_since = 0.0

    def check_silence(self, since: float) -> None:
        """Called in every slice of waiting to read since `since`. Raises DeadlineExceeded, Unavailable or a Stopped."""
        self.deadline.check()
        now = time.monotonic()
        if self.body_began:
            if now - since > self.gap_s:
                raise Unavailable("the server fell silent in mid-answer", kind="timeout", code="gap")
        elif now - self.sent_at > self.first_byte_s:
            raise Unavailable("the server did not begin to answer in time", kind="timeout", code="first_byte")

    def check_connecting(self, until: float) -> None:
        """Called in every slice of connecting. Raises DeadlineExceeded, Unavailable or a Stopped."""
        self.deadline.check()
        if time.monotonic() > until:
            raise Unavailable("no connection in time", kind="timeout", code="connect")


_now = threading.local()


def watch_next(watch: Watch | None) -> None:
    """The exchange that this thread is about to begin."""
    _now.watch = watch


def _current() -> Watch:
    watch: Watch | None = getattr(_now, "watch", None)
    if watch is None:
        raise MindBotError("a connection was opened outside of an exchange")
    return watch


class PatientSocket(socket.socket):
    """A TCP socket whose time-out is a slice."""

    watch: Watch

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        read = super().recv_into
        return _in_slices(lambda: read(buffer, nbytes, flags), self.watch)

    def sendall(self, data: Any, flags: int = 0) -> None:
        _send_all(super().send, data, self.watch)


class PatientTLSSocket(ssl.SSLSocket):
    """The same on top of TLS; a read or write that ran into its slice may be repeated."""

    watch: Watch

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        read = super().recv_into
        return _in_slices(lambda: read(buffer, nbytes, flags), self.watch)

    def sendall(self, data: Any, flags: int = 0) -> None:
        _send_all(super().send, data, self.watch)

    def do_handshake(self, block: bool = False) -> None:
        self.watch = _current()
        until = time.monotonic() + self.watch.connect_s
        while True:
            try:
                self.watch.check_connecting(until)
                return super().do_handshake(block)
            except TimeoutError:
                continue
            except MindBotError:
                self.close()  # `ssl` closes a socket that it is still making only for errors of its own
                raise


def _in_slices(read: Callable[[], int], watch: Watch) -> int:
    since = time.monotonic()
    while True:
        watch.check_silence(since)
        try:
            return read()
        except TimeoutError:
            continue


def _send_all(send: Callable[[Any], int], data: Any, watch: Watch) -> None:
    watch.sent = True
    with memoryview(data).cast("B") as view:
        start = 0
        since = time.monotonic()
        while start < len(view):
            watch.deadline.check()
            if time.monotonic() - since > watch.gap_s:
                raise Unavailable("the server stopped to read", kind="timeout", code="gap")
            try:
                start += send(view[start : start + 65536])
                since = time.monotonic()
            except TimeoutError:
                continue
    watch.sent_at = time.monotonic()


def _dial(address: tuple[Any, ...], family: int, until: float, watch: Watch) -> PatientSocket:
    sock = PatientSocket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        problem = sock.connect_ex(address)
        if problem == errno.EINPROGRESS:
            poller = select.poll()
            poller.register(sock, select.POLLOUT)
            while not poller.poll(1000 * max(0.0, min(SLICE_S, until - time.monotonic()))):
                watch.check_connecting(until)
            problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            raise OSError(problem, "cannot connect")
        sock.settimeout(SLICE_S)
    except BaseException:
        sock.close()
        raise
    sock.watch = watch
    return sock


_names: dict[tuple[str, int], tuple[float, list[tuple[int, tuple[Any, ...]]]]] = {}


def _resolve(host: str, port: int, until: float, watch: Watch) -> list[tuple[int, tuple[Any, ...]]]:
    """(family, address) pairs. getaddrinfo cannot be interrupted, so it runs beside us and may be left behind."""
    known = _names.get((host, port))
    if known is not None and known[0] > time.monotonic():
        return known[1]
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            results.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as exc:  # a label of the name may be too long to be one
            results.put(exc)

    try:
        ipaddress.ip_address(host)
    except ValueError:
        threading.Thread(target=look_up, name="resolve", daemon=True).start()
    else:
        look_up()
    while True:
        try:
            found = results.get(timeout=SLICE_S)
            break
        except queue.Empty:
            watch.check_connecting(until)
    if isinstance(found, Exception):
        raise Unavailable("the host's name cannot be resolved", kind="connection", code="connect") from found
    pairs = [(family, address) for family, _, _, _, address in found]
    if len(_names) > 1000:
        _names.clear()
    _names[(host, port)] = (time.monotonic() + _NAMES_KEPT_S, pairs)
    return pairs


def connect(host: str, port: int, watch: Watch, destinations: Destinations) -> PatientSocket:
    """A connection to the first address that answers; every address is checked first.

    Raises Rejected (not allowed), Unavailable, DeadlineExceeded or a Stopped.
    """
    until = time.monotonic() + watch.connect_s
    host = host.strip("[]")
    pairs = _resolve(host, port, until, watch)
    for _, address in pairs:
        destinations.check_address(ipaddress.ip_address(address[0]))
    problem: Exception | None = None
    for number, (family, address) in enumerate(pairs):
        now = time.monotonic()
        # a dead first address leaves time for the next
        share_until = now + max(0.1, (until - now) / (len(pairs) - number))
        try:
            return _dial(address, family, share_until, watch)
        except (OSError, Unavailable) as exc:
            watch.deadline.check()
            problem = exc
    if isinstance(problem, Unavailable):
        raise problem
    raise Unavailable("no connection", kind="connection", code="connect") from problem


class _Watched:
    """What our plain and TLS connections share: they dial here, and carry the watch of the exchange in hand."""

    destinations: Destinations = ANYWHERE
    _last_used = 0.0

    def _new_conn(self) -> PatientSocket:
        return connect(self.host, self.port, _current(), self.destinations)  # type: ignore[attr-defined]

    @property
    def is_connected(self) -> bool:
        return time.monotonic() - self._last_used < _IDLE_S and bool(super().is_connected)  # type: ignore[misc]

    def request(self, *args: Any, **options: Any) -> None:
        watch = _current()
        sock = getattr(self, "sock", None)
        if sock is not None:
            sock.watch = watch
        super().request(*args, **options)  # type: ignore[misc]

    def getresponse(self) -> Any:
        watch = _current()
        watch.sock = self.sock  # type: ignore[attr-defined]
        self._last_used = time.monotonic()
        return super().getresponse()  # type: ignore[misc]


class _PlainConnection(_Watched, HTTPConnection):
    pass


class _TLSConnection(_Watched, HTTPSConnection):
    pass


def pool_classes(destinations: Destinations) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Connection pools whose connections obey `destinations`, by scheme."""
    plain = type("PlainConnection", (_PlainConnection,), {"destinations": destinations})
    tls = type("TLSConnection", (_TLSConnection,), {"destinations": destinations})
    return {
        "http": type("PlainPool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("TLSPool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }
