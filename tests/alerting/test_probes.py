"""Probes: what each finds, that each run happens once, and what becomes of old results."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from mindbot_tasks.alerting.probes import catalogue, machinery, own, vendors
from mindbot_tasks.alerting.probes.context import Context
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import Settings, WorkflowSettings
from mindbot_tasks.stores import alert_probes
from mindbot_tasks.stores.alert_probes import Finding, Plan
from mindbot_tasks.stores.database import reading, transaction
from tests.alerting.world import BEGIN, HOUR, MINUTE, SECOND, World, settings
from tests.core.far_side import answering, far_side


def http(status: int, body: str) -> bytes:
    """A whole answer."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}".encode()


def context(whole: Settings, subject: str = "", **row: Any) -> Context:
    return Context(whole, {"subject": subject, "failures": 0, "memory": {}, **row}, Deadline(3), BEGIN)


def test_every_kind_that_is_planned_has_a_function() -> None:
    whole = Settings(
        alert_manager=settings(
            probes={"a": {"type": "tcp", "host": "127.0.0.1", "port": 1}}, watch_web="http://x/livez"
        ),
        workflows={
            "w": WorkflowSettings(dify_endpoint="https://dify.test/v1/chat-messages", dify_api_key=SecretStr("k"))
        },
    )
    plans = catalogue.plans(whole)
    assert {plan.kind for plan in plans} - {"broker"} <= set(catalogue.KINDS)
    assert {"dify:w", "own:a", "certificates", "machine", "database"} <= {plan.name for plan in plans}
    assert catalogue.plans(Settings()) == []


def test_a_probe_runs_once_in_its_interval_whoever_asks(engine: Engine) -> None:
    with transaction(engine) as connection:
        alert_probes.synchronise(connection, [Plan("p", "test")], now=BEGIN)
    gate = threading.Barrier(4)

    def run() -> tuple[int, bool]:
        gate.wait(10)
        with transaction(engine) as connection:
            asked = len(alert_probes.ask(connection, now=BEGIN, expires_ms=20_000))
        with transaction(engine) as connection:
            return asked, alert_probes.take(connection, "p", now=BEGIN, jitter_ms=0) is not None

    with ThreadPoolExecutor(4) as crowd:
        done = [each.result() for each in [crowd.submit(run) for _ in range(4)]]
    assert sum(taken for _, taken in done) == 1
    with transaction(engine) as connection:
        assert alert_probes.ask(connection, now=BEGIN + 29 * SECOND, expires_ms=1) == []
        assert alert_probes.ask(connection, now=BEGIN + 31 * SECOND, expires_ms=1) == ["p"]


def test_a_probe_that_nobody_configures_any_more_is_forgotten(engine: Engine) -> None:
    with transaction(engine) as connection:
        alert_probes.synchronise(connection, [Plan("a", "test"), Plan("b", "test")], now=BEGIN)
        alert_probes.synchronise(connection, [Plan("b", "test", interval_ms=1)], now=BEGIN)
        (row,) = alert_probes.every(connection)
    assert (row["name"], row["interval_ms"]) == ("b", 1)


def test_values_are_added_up_by_the_hour_and_old_results_go(world: World) -> None:
    for value in (1.0, 3.0):
        world.see("s", response_time=value)
        world.later(MINUTE)
    world.later(HOUR)
    world.see("s", response_time=9.0)
    with transaction(world.engine) as connection:
        hours = alert_probes.hours(connection, "response_time", "s", since=BEGIN)
        assert [(hour["count"], hour["total"], hour["lowest"], hour["highest"]) for hour in hours] == [
            (2, 4.0, 1.0, 3.0),
            (1, 9.0, 9.0, 9.0),
        ]
        assert alert_probes.forget(connection, results_before=world.now, hours_before=BEGIN) == 2


@pytest.mark.parametrize(("status", "failed", "error"), [(200, 0, ""), (503, 4, "server 503"), (401, 4, "auth 401")])
def test_a_dify_app_that_is_away_counts_its_failures(status: int, failed: int, error: str) -> None:
    with far_side(answering(http(status, "{}"))) as url:
        app = WorkflowSettings(dify_endpoint=f"{url}/v1/chat-messages", dify_api_key=SecretStr("app-key"))
        found = vendors.dify(context(Settings(workflows={"w": app}), "w", failures=3))
    assert (found.ok, found.error) == (not error, error)
    assert found.readings["dify_health_check_failed"] == failed


@pytest.mark.parametrize(
    "endpoint", ["https://d/v1", "https://d/v1/", "https://d/v1/chat-messages", "https://d/v1/workflows/run"]
)
def test_the_address_of_dify_is_found_from_any_endpoint(endpoint: str) -> None:
    assert vendors.dify_base(endpoint) == "https://d/v1"


def test_probes_of_ones_own(engine: Engine) -> None:
    with far_side(answering(http(200, '{"queue": {"size": [4]}}'))) as url, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        probes = {
            "http": {"type": "http", "url": f"{url}/health", "value": "queue.size.0"},
            "text": {"type": "http", "url": f"{url}/health", "expect_text": "well"},
            "status": {"type": "http", "url": f"{url}/health", "expect_status": 204, "alert": False},
            "tcp": {"type": "tcp", "host": "127.0.0.1", "port": port},
            "sql": {"type": "sql", "query": "SELECT 42", "database_url": engine.url.render_as_string(False)},
            "bad": {"type": "sql", "query": "SELEC", "database_url": engine.url.render_as_string(False)},
        }
        whole = Settings(alert_manager=settings(probes=probes))
        found = {name: own.own(context(whole, name, failures=1)) for name in probes}
    assert {name: one.ok for name, one in found.items()} == {
        "http": True, "text": False, "status": False, "tcp": True, "sql": True, "bad": False,
    }  # fmt: skip
    assert (found["http"].readings["check_value"], found["sql"].readings["check_value"]) == (4.0, 42.0)
    assert found["text"].readings["check_failed"] == 2.0
    assert "check_failed" not in found["status"].readings
    closed = own.own(context(whole, "tcp"))
    assert (closed.ok, closed.error.split()[0]) == (False, "connection")


def test_the_machine_says_how_full_it_is() -> None:
    readings = machinery.machine(context(Settings())).readings
    for metric in ("cpu_usage", "memory_usage", "disk_usage"):
        (share,) = readings[metric].values()  # type: ignore[union-attr]
        assert 0 <= float(share) <= 1


def test_a_probe_that_stopped_running_is_no_data(world: World) -> None:
    world.see("s", queue_age=900.0)
    world.later(10 * MINUTE)
    world.tick()
    assert world.open() == []
    with reading(world.engine) as connection:
        assert len(alert_probes.every(connection)) == 1


def test_flips_are_noticed(engine: Engine) -> None:
    with transaction(engine) as connection:
        alert_probes.synchronise(connection, [Plan("p", "test")], now=BEGIN)
        changes = []
        for number, ok in enumerate([True, False, False, True]):
            (row,) = alert_probes.every(connection)
            changes.append(alert_probes.record(connection, row, Finding(ok), now=BEGIN + number))
        (row,) = alert_probes.every(connection)
    assert changes == [False, True, False, True]
    assert (row["failures"], row["successes"]) == (0, 1)
