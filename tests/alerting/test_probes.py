"""Probes: what each finds, that each run happens once, and what becomes of old results."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from mindbot_tasks.alerting.present import present
from mindbot_tasks.alerting.probes import catalogue, machinery, models, own, vendors
from mindbot_tasks.alerting.probes.context import Context
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import ChromaSettings, ProviderSettings, Settings, WorkflowSettings
from mindbot_tasks.core.settings.known_models import Gone, Vendor
from mindbot_tasks.stores import alert_probes
from mindbot_tasks.stores.alert_probes import Finding, Plan
from mindbot_tasks.stores.database import reading, transaction
from tests.alerting.world import BEGIN, HOUR, MINUTE, SECOND, World, settings
from tests.conftest import PATIENCE_S
from tests.core.far_side import answering, far_side


def http(status: int, body: str) -> bytes:
    """A whole answer."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}".encode()


def context(whole: Settings, subject: str = "", **row: Any) -> Context:
    return Context(whole, {"subject": subject, "failures": 0, "memory": {}, **row}, Deadline(PATIENCE_S), BEGIN)


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
        gate.wait(PATIENCE_S)
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
    assert found.readings["dify_error_rate"] == float(bool(error))
    assert found.readings["dify_response_time"] is not None, "an error page tells how slow it is"


def test_the_error_rate_of_dify_is_that_of_its_last_checks() -> None:
    with far_side(answering(http(200, "{}"))) as url:
        app = WorkflowSettings(dify_endpoint=f"{url}/v1", dify_api_key=SecretStr("app-key"))
        whole = Settings(workflows={"w": app})
        found = vendors.dify(context(whole, "w", memory={"checks": [0, 0, 0, 1, 1]}))
    assert (found.readings["dify_error_rate"], found.memory["checks"]) == (pytest.approx(0.4), [0, 0, 1, 1, 1])


def test_a_dify_server_that_is_gone_has_no_response_time() -> None:
    """However quickly the connection is refused."""
    app = WorkflowSettings(dify_endpoint="http://127.0.0.1:1/v1", dify_api_key=SecretStr("app-key"))
    found = vendors.dify(context(Settings(workflows={"w": app}), "w", failures=1))
    assert (found.readings["dify_error_rate"], found.readings["dify_response_time"]) == (1.0, None)


def test_what_is_not_measured_just_now_still_exists(world: World) -> None:
    """A rule about a response time stays as it was while nothing answers."""
    world.see("w", dify_response_time=None)
    with reading(world.engine) as connection:
        seen = present(alert_probes.every(connection), now=world.now)
    assert (seen.known["dify_response_time"], seen.value("dify_response_time", "w")) == ({"w"}, None)


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


def provider_at(url: str, *names: str, **more: Any) -> Settings:
    own = ProviderSettings.model_validate(
        {"type": "openai", "api_key": "k", "base_url": url, "models": [{"name": name} for name in names], **more}
    )
    return Settings(alert_manager=settings(), providers={"p": own})


def test_a_model_that_its_provider_no_longer_lists_is_missing() -> None:
    def look(listed: str, row: dict[str, Any], status: int = 200) -> Finding:
        body = json.dumps({"object": "list", "data": [{"id": name} for name in listed.split()]})
        with far_side(answering(http(status, body))) as far:
            return models.models(context(provider_at(f"{far}/v1", "a", "b", "alias"), "p", **row))

    fresh = {"readings": {}}
    first = look("a b c", fresh)
    assert first.readings["model_listed"] == {"p/a": 1.0, "p/b": 1.0}, "what was never listed may be an alias"
    later = {"readings": first.readings, "memory": first.memory}
    assert look("a c", later).readings["model_listed"] == {"p/a": 1.0, "p/b": 0.0}
    away = look("", later, status=503)
    assert (away.ok, away.readings["model_listed"]) == (False, {"p/a": 1.0, "p/b": 1.0})
    assert look("", fresh, status=404).ok, "one that has no list is well"


def test_the_day_on_which_a_model_goes_is_known_from_the_catalogue_and_from_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day = datetime.fromtimestamp(BEGIN / 1000, UTC).date() + timedelta(days=20)
    gone = Vendor("v", retired={"old-*": Gone("new", day), "older": Gone("new")})
    monkeypatch.setattr("mindbot_tasks.llm.catalogue.vendor_for", lambda *_: gone)
    listed = json.dumps({"data": [{"id": "soon", "shutdown_date": f"{day - timedelta(days=5)}T00:00:00Z"}]})
    with far_side(answering(http(200, listed))) as far:
        whole = provider_at(f"{far}/v1", "old-1", "older", "soon", "new")
        left = models.models(context(whole, "p", readings={})).readings["model_left"]
    assert left == {"p/old-1": 20 * 86_400.0, "p/older": 0.0, "p/soon": 15 * 86_400.0}
    assert [plan.name for plan in catalogue.plans(whole) if plan.kind == "models"] == ["models:p"]


def test_a_model_that_goes_and_one_that_went_are_alerts(world: World) -> None:
    world.see("p", model_left={"p/old": 20 * 86_400.0, "p/far": 200 * 86_400.0}, model_listed={"p/b": 0.0, "p/a": 1.0})
    world.tick()
    assert {row["rule"]: (row["severity"], list(row["members"])) for row in world.open()} == {
        "model_retires": ("medium", ["p/old"]), "model_missing": ("high", ["p/b"])
    }  # fmt: skip
    assert "20d" in next(row["summary"] for row in world.open() if row["rule"] == "model_retires")


@pytest.mark.parametrize("status", [200, 500])
def test_a_vector_store_that_is_away_is_noticed(status: int) -> None:
    with far_side(answering(http(status, "{}"))) as far:
        whole = Settings(alert_manager=settings(), chromadb=ChromaSettings(url=far))
        assert "vector_store" in {plan.name for plan in catalogue.plans(whole)}
        found = machinery.vector_store(context(whole))
    assert (found.ok, found.readings["vector_store_up"]) == (status == 200, float(status == 200))
