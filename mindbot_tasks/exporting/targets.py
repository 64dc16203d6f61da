"""Where figures are pushed to. A target that is away costs its own thread a little, and one line of the log."""

from __future__ import annotations

import gzip
import os
import socket
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import structlog
from prometheus_client.metrics_core import Metric

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.http import get_http, refuse
from mindbot_tasks.core.settings import InfluxDBSettings, MetricsSettings, StatsDSettings
from mindbot_tasks.exporting import influx, statsd

log = structlog.get_logger(__name__)

#: what waits for an InfluxDB that is away; the oldest goes first
QUEUE_BYTES: Final = 4_000_000
SEND_S: Final = 10.0
LONGEST_PAUSE_S: Final = 300.0
#: figures of the whole fleet come from nowhere in particular
Tags = Mapping[str, str]


class Target(Protocol):
    """Takes the figures of a moment. Never waits and never raises."""

    def take(self, figures: Sequence[tuple[Sequence[Metric], Tags]], at_ms: int) -> None: ...


class _Standing:
    """Says once that a target is away, and once that it is back."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._away = False

    def failed(self, reason: str) -> None:
        if not self._away:
            self._away = True
            log.warning("metrics_target_away", target=self._target, reason=reason)

    def worked(self) -> None:
        if self._away:
            self._away = False
            log.warning("metrics_target_back", target=self._target)


class InfluxDB:
    """Sends in a thread of its own, in order, and keeps what could not be sent as far as there is room."""

    def __init__(self, settings: InfluxDBSettings, tags: Tags, *, first_pause_s: float = 10.0) -> None:
        self._settings = settings
        self._tags = tags
        self._first_pause_s = first_pause_s
        self._standing = _Standing("influxdb")
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, figures: Sequence[tuple[Sequence[Metric], Tags]], at_ms: int) -> None:
        """Queue it."""
        body = b"".join(influx.encode(families, {**self._tags, **tags}, at_ms) for families, tags in figures)
        if not body:
            return
        packed = gzip.compress(body, compresslevel=1)
        with self._lock:
            self._waiting.append(packed)
            self._bytes += len(packed)
            while self._bytes > QUEUE_BYTES and len(self._waiting) > 1:
                self._bytes -= len(self._waiting.popleft())
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="influxdb", daemon=True)
                self._thread.start()
        self._news.set()

    def end(self) -> None:
        """For tests."""
        self._ended.set()
        self._news.set()

    def waiting(self) -> int:
        with self._lock:
            return len(self._waiting)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._ended.is_set():
            if pause_s:
                self._ended.wait(pause_s)
            self._news.wait()
            with self._lock:
                self._news.clear()
                first = self._waiting[0] if self._waiting else None
            if first is None:
                continue
            self._news.set()  # there may be more behind it
            try:
                write(self._settings, first)
            except FarSideError as exc:
                self._standing.failed(f"{exc.kind} {exc.status or exc.code or ''}".strip())
                pause_s = min(max(pause_s * 2, exc.retry_after_s or self._first_pause_s), LONGEST_PAUSE_S)
                if exc.status in (400, 413, 422):  # it will never be taken, and must not keep the others back
                    self._drop(first)
            except Exception:
                log.exception("metrics_push_failed", target="influxdb")
                pause_s = LONGEST_PAUSE_S
                self._drop(first)
            else:
                pause_s = 0.0
                self._standing.worked()
                self._drop(first)

    def _drop(self, first: bytes) -> None:
        with self._lock:
            if self._waiting and self._waiting[0] is first:
                self._bytes -= len(self._waiting.popleft())


def write(settings: InfluxDBSettings, packed: bytes) -> None:
    """One call. Raises Rejected, Throttled or Unavailable."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
    if settings.token is not None:
        headers["Authorization"] = f"Token {settings.token.get_secret_value()}"
    where = {"org": settings.org, "bucket": settings.bucket, "precision": "ms"}
    response = get_http().request(
        "POST",
        f"{settings.url}/api/v2/write",
        deadline=Deadline(SEND_S),
        provider="influxdb",
        params={name: value for name, value in where.items() if value},
        headers=headers,
        body=packed,
    )
    if not response.ok:
        refuse(response)


class StatsD:
    """Sends at once: a datagram that nobody takes is lost, and the next one is due soon."""

    def __init__(self, settings: StatsDSettings, tags: Tags) -> None:
        self._address = (settings.host, settings.port)
        self._encoder = statsd.Encoder(settings.prefix, tags, tagged=settings.tags)
        self._standing = _Standing("statsd")

    def take(self, figures: Sequence[tuple[Sequence[Metric], Tags]], at_ms: int) -> None:
        """Send it."""
        lines = [line for families, tags in figures for line in self._encoder.lines(families, more=tags)]
        self._encoder.begin()
        try:
            send(self._address, lines)
        except OSError as exc:
            self._standing.failed(type(exc).__name__)
        else:
            self._standing.worked()


def send(address: tuple[str, int], lines: Sequence[str]) -> None:
    """Raises OSError for a name that is unknown, or a host of which we learn that nobody listens there."""
    with connected(address) as sock:
        for datagram in statsd.datagrams(lines):
            sock.send(datagram)


def connected(address: tuple[str, int]) -> socket.socket:
    """A socket that never waits. Raises OSError for a name that is unknown."""
    family, kind, protocol, _, where = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.connect(where)
    except OSError:
        sock.close()
        raise
    return sock


def own_tags() -> dict[str, str]:
    """Whose counters these are: this machine's; without a shared directory this process's alone."""
    tags = {"host": socket.gethostname()}
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        tags["role"] = os.environ.get("MINDBOT_ROLE", "mindbot")
    return tags


def of(settings: MetricsSettings) -> list[Target]:
    """What the configuration names."""
    found: list[Target] = []
    if settings.influxdb is not None:
        found.append(InfluxDB(settings.influxdb, settings.tags))
    if settings.statsd is not None:
        found.append(StatsD(settings.statsd, settings.tags))
    return found
