"""Figures are pushed from one process of a machine, to real sockets; a target that is away costs nothing."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client.metrics_core import GaugeMetricFamily
from pydantic import SecretStr

from mindbot_tasks.cli.doctor.outside import look_at_targets
from mindbot_tasks.core.settings import InfluxDBSettings, MetricsSettings, Settings, StatsDSettings
from mindbot_tasks.exporting import targets
from mindbot_tasks.exporting.election import Election
from tests.slack import at_most

GAUGE = GaugeMetricFamily("mindbot_ready", "Ready.", value=1)


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to that")


class Sink(ThreadingHTTPServer):
    """Takes what InfluxDB takes, and answers what it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status = 204
        self.calls: list[tuple[str, str | None, str]] = []
        super().__init__(("127.0.0.1", 0), _Write)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Write(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, self.headers["Authorization"], gzip.decompress(body).decode()))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ears() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(60)
        yield sock


def about_targets(logs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without what threads of earlier tests say meanwhile."""
    return [line for line in logs if line["event"].startswith("metrics_target")]


def influxdb(url: str) -> InfluxDBSettings:
    return InfluxDBSettings(url=url, org="acme", bucket="bots", token=SecretStr("a-token"))


def take(target: targets.Target, at_ms: int = 5) -> None:
    target.take([([GAUGE], {"host": "a"})], at_ms)


def test_influxdb_gets_the_figures_with_its_token(sink: Sink) -> None:
    target = targets.InfluxDB(influxdb(sink.url), {"env": "prod"})
    take(target)
    until(lambda: sink.calls)
    assert sink.calls == [
        (
            "/api/v2/write?org=acme&bucket=bots&precision=ms",
            "Token a-token",
            "mindbot_ready,env=prod,host=a gauge=1.0 5\n",
        )
    ]
    until(lambda: target.waiting() == 0)
    target.end()


def test_what_an_absent_influxdb_missed_comes_later_in_order_and_is_said_once(sink: Sink) -> None:
    sink.status = 503
    target = targets.InfluxDB(influxdb(sink.url), {}, first_pause_s=0.01)
    with structlog.testing.capture_logs() as logs:
        for at_ms in range(5):
            take(target, at_ms)
        until(lambda: len(sink.calls) >= 4)
        sink.status = 204
        until(lambda: target.waiting() == 0)
        until(lambda: any(line["event"] == "metrics_target_back" for line in logs))
    arrived = [text.split()[-1] for _, _, text in sink.calls[-5:]]
    assert arrived == ["0", "1", "2", "3", "4"]
    assert [(line["event"], line.get("reason")) for line in about_targets(logs)] == [
        ("metrics_target_away", "server 503"),
        ("metrics_target_back", None),
    ]
    target.end()


def test_the_queue_of_an_absent_influxdb_is_bounded_and_loses_the_oldest(
    monkeypatch: pytest.MonkeyPatch, sink: Sink
) -> None:
    monkeypatch.setattr(targets, "QUEUE_BYTES", 1000)
    sink.status = 503
    target = targets.InfluxDB(influxdb(sink.url), {}, first_pause_s=0.3)
    started = time.monotonic()
    for at_ms in range(200):
        take(target, at_ms)
    assert time.monotonic() - started < at_most(5)  # whoever hands them over never waits
    assert target.waiting() < 20
    sink.status = 204
    until(lambda: target.waiting() == 0)
    assert sink.calls[-1][2].split()[-1] == "199"
    target.end()


def test_what_influxdb_will_never_take_does_not_keep_the_rest_back(sink: Sink) -> None:
    sink.status = 400
    target = targets.InfluxDB(influxdb(sink.url), {}, first_pause_s=0.01)
    take(target)
    until(lambda: target.waiting() == 0)
    target.end()


def test_statsd_gets_datagrams_and_one_that_is_away_is_said_once(
    ears: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = ears.getsockname()
    target = targets.StatsD(StatsDSettings(host=host, port=port), {"env": "prod"})
    take(target)
    assert ears.recv(2000) == b"mindbot.ready:1|g|#env:prod,host:a"

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # where there is no name server, to ask takes seconds
    nobody = targets.StatsD(StatsDSettings(host="no-such-host.invalid"), {})
    with structlog.testing.capture_logs() as logs:
        take(nobody)
        take(nobody)
    assert [line["event"] for line in about_targets(logs)] == ["metrics_target_away"]


HOLD = """
import sys, time
sys.stdout.reconfigure(line_buffering=True)
from mindbot_tasks.exporting.election import Election
election = Election(sys.argv[1])
while not election.won():
    time.sleep(0.02)
time.sleep(60)
"""


def test_of_several_processes_one_pushes_and_another_goes_on_when_it_is_killed(tmp_path: Path) -> None:
    def one() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env={**os.environ}
        )

    first = one()
    assert first.stdout is not None
    assert "pushed_from_here" in first.stdout.readline()
    election = Election(str(tmp_path))
    second = one()
    try:
        assert not election.won()
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
        assert second.stdout is not None
        assert "pushed_from_here" in second.stdout.readline()
        assert not election.won()
    finally:
        second.kill()
        second.wait(10)
        for process in (first, second):
            assert process.stdout is not None
            process.stdout.close()
    assert election.won()
    election.leave()


def test_the_doctor_writes_a_figure_and_hears_that_nobody_listens(sink: Sink, ears: socket.socket) -> None:
    host, port = ears.getsockname()
    statsd = StatsDSettings(host=host, port=port)
    settings = Settings(metrics=MetricsSettings(influxdb=influxdb(sink.url), statsd=statsd))
    found = list(look_at_targets(settings))
    assert [(one.level, one.what) for one in found] == [("ok", "metrics.influxdb"), ("ok", "metrics.statsd")]
    assert sink.calls[0][2].startswith("mindbot_doctor gauge=1 ")
    sink.status = 401
    ears.close()
    found = list(look_at_targets(settings))
    assert [(one.level, one.what) for one in found] == [("fail", "metrics.influxdb"), ("warn", "metrics.statsd")]
    assert list(look_at_targets(Settings())) == []


def test_the_port_of_the_watchdog_loads_no_celery() -> None:
    code = "import sys; import mindbot_tasks.exporting.listener; print({'celery', 'flask', 'kombu'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
