"""The page at /metrics: complete, well formed, of bounded size, and cheap."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import Engine

from mindbot_tasks import readiness
from mindbot_tasks.core.settings import (
    AlertManagerSettings,
    ChromaSettings,
    DingTalkSettings,
    ProviderSettings,
    Settings,
    WorkflowSettings,
)
from mindbot_tasks.exporting import catalogue, listener, page
from mindbot_tasks.stores.database import transaction
from mindbot_tasks.stores.redis import get_redis
from tests.exporting.rows import fill
from tests.midnight import one_day
from tests.webhooks.conftest import Configure
from webhooks.app import create_app

__all__ = ["one_day"]


@pytest.fixture
def busy(configure: Configure, one_day: None) -> Settings:
    """An installation where everything is configured, and something has happened everywhere."""
    settings = configure(
        dingtalk={"sales": DingTalkSettings(client_id="a", client_secret=SecretStr("b"), mode="stream")},
        providers={"openai": ProviderSettings(api_key=SecretStr("k"))},
        workflows={"translation": WorkflowSettings(dify_endpoint="http://127.0.0.1:1", dify_api_key=SecretStr("k"))},
        chromadb=ChromaSettings(),
        alert_manager=AlertManagerSettings(),
    )
    get_redis().hset("mindbot:breaker:provider:openai", "open_until", str((time.time() + 60) * 1_000_000))
    get_redis().rpush("mindbot:generate", "waits")
    (settings.home / "watchdog.json").write_text(
        '{"troubles": {"beat": {"part": "beat", "since": 1}}, "number": 1, "past": []}'
    )
    with transaction() as connection:
        fill(connection, int(time.time() * 1000))
    return settings


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that is executed meanwhile."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def parsed(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_every_figure_of_the_catalogue_is_on_the_page_of_a_busy_installation(busy: Settings) -> None:
    text = create_app(busy).test_client().get("/metrics").text
    families = parsed(text)
    here = {gauge.name for gauge in catalogue.every()}
    # of this machine, where processes share a directory for what they count
    here -= {catalogue.PROCESSES.name, catalogue.MEMORY.name}
    assert here <= families.keys()
    for line in (
        'mindbot_breaker_open{answerer="provider:openai"} 1.0',
        'mindbot_breaker_open{answerer="workflow:translation"} 0.0',
        'mindbot_queue_depth{queue="generate"} 1.0',
        'mindbot_spent_today{model="gpt",provider="openai"} 2.5',
        'mindbot_calls_today{model="gpt",provider="openai"} 2.0',
        'mindbot_tokens_today{direction="out",model="gpt",provider="openai"} 10.0',
        'mindbot_knowledge_documents{base="docs",state="failed"} 1.0',
        'mindbot_knowledge_chunks{base="docs"} 30.0',
        'mindbot_knowledge_chunks_embedded{base="docs"} 12.0',
        'mindbot_alerts_open{severity="critical",state="firing"} 1.0',
        'mindbot_alerts_open{severity="low",state="acknowledged"} 0.0',
        "mindbot_notifications_waiting 1.0",
        'mindbot_probe_ok{kind="machine",probe="machine"} 0.0',
        'mindbot_probe_duration_seconds{kind="machine",probe="machine"} 0.25',
        "mindbot_reading_response_time_seconds 0.5",
        'mindbot_reading_cpu_usage_ratio{machine="it"} 500.0',
        'mindbot_reading_dingtalk_connection_status{bot="it"} 1.0',
        'mindbot_unfinished_messages{state="received"} 0.0',
    ):
        assert line in text, line
    assert "tickets" not in text  # a plugin's own
    (overdue,) = families["mindbot_notifications_overdue_seconds"].samples
    assert 55 < overdue.value < 300
    assert families["mindbot_watchdog_trouble_seconds"].samples[0].labels == {"part": "beat"}


def test_the_page_has_a_help_and_a_type_for_every_figure_and_none_twice(busy: Settings) -> None:
    text = create_app(busy).test_client().get("/metrics").text
    helps = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP ")]
    types = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert helps == types
    assert len(set(types)) == len(types)
    samples = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(set(samples)) == len(samples)
    for family in parsed(text).values():
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram", "info"), family.name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here")
def test_prometheus_own_linter_has_nothing_to_say(busy: Settings) -> None:
    text = create_app(busy).test_client().get("/metrics").data
    ours = b"".join(line for line in text.splitlines(keepends=True) if b"mindbot_" in line)
    done = subprocess.run(["promtool", "check", "metrics"], input=ours, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_page_costs_few_statements_and_the_next_one_soon_after_hardly_any(
    busy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kept in (readiness, page):
        monkeypatch.setattr(kept, "CACHE_S", 600.0)  # soon after, however slow the machine is
    client = create_app(busy).test_client()
    with statements() as first:
        client.get("/metrics")
    with statements() as second:
        for _ in range(5):
            client.get("/metrics")
    asked = [one for one in first if one.lstrip().upper().startswith(("SELECT", "WITH"))]
    assert len(asked) <= 10, asked  # 3 of readiness, 5 of records, 2 of workflows
    assert [one for one in second if one.lstrip().upper().startswith(("SELECT", "WITH"))] == []


def test_a_page_is_there_without_database_and_broker(configure: Configure) -> None:
    settings = configure(
        database_url=SecretStr("sqlite:////dev/null/no.db"),
        redis_url=SecretStr("redis://127.0.0.1:1/0"),
        alert_manager=AlertManagerSettings(),
        providers={"openai": ProviderSettings(api_key=SecretStr("k"))},
    )
    text = create_app(settings).test_client().get("/metrics").text
    assert "mindbot_ready 0.0" in text
    assert "mindbot_webhooks_total" in text
    assert "mindbot_alerts_open{" not in text


def test_nothing_that_people_write_becomes_a_label(busy: Settings) -> None:
    """Each label's values come from the configuration, from our code or from a vendor's fixed list."""
    bounded = {
        "answerer", "base", "bot", "budget", "change", "channel", "code", "direction", "endpoint", "finding", "host",
        "kind", "level", "limit", "machine", "mode", "model", "notifier", "outcome", "part", "platform", "probe",
        "provider", "purpose", "quantile", "queue", "reason", "role", "rule", "scope", "severity", "stage", "state",
        "status", "tool", "version", "workflow", "le", "generation", "implementation", "major", "minor", "patchlevel",
    }  # fmt: skip
    text = create_app(busy).test_client().get("/metrics").text
    used = {label for family in parsed(text).values() for sample in family.samples for label in sample.labels}
    assert used <= bounded
    assert {label for gauge in catalogue.every() for label in gauge.labels} <= bounded


def _get(port: int, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_worker_in_a_container_shows_its_own_figures_at_its_port(busy: Settings) -> None:
    server = listener.begin(0)
    assert server is not None
    try:
        status, text = _get(server.server_address[1], "/metrics")
        assert status == 200
        assert "mindbot_build_info" in text
        assert "mindbot_stage_seconds" in text
        assert "mindbot_ready" not in text  # of the fleet the web side speaks
        assert _get(server.server_address[1], "/")[0] == 404
        assert listener.begin(server.server_address[1]) is None  # taken: said in the log, and no reason to stop
    finally:
        server.shutdown()
        server.server_close()


def test_no_listener_without_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINDBOT_METRICS_PORT", raising=False)
    assert listener.begin() is None
    page.forget()
