"""Traces: which one a message belongs to, what is recorded of it, and that it costs nothing where nobody wants any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import SpanKind

from emulators.running import running
from mindbot_tasks.core import telemetry
from mindbot_tasks.core.errors import Draining, Unavailable
from mindbot_tasks.core.settings import Settings, TelemetrySettings
from mindbot_tasks.core.telemetry import exporting
from mindbot_tasks.core.telemetry.identity import header_of, parent_of, trace_of
from tests.chaos.processes import ROOT
from tests.core.settings_files import Files, files
from tests.slack import at_most

__all__ = ["files"]

KEY = ("chat", "default", "m-1")
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def memory() -> Iterator[InMemorySpanExporter]:
    """What is exported, while this process traces everything."""
    exporter = InMemorySpanExporter()
    wanted = Settings(telemetry=TelemetrySettings(enabled=True))
    assert telemetry.start(wanted, "test", SimpleSpanProcessor(exporter))
    yield exporter
    telemetry.stop()


def of(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def ids(settings: TelemetrySettings, address: dict[str, Any] | None = None, secret: str = "") -> Any:
    return trace_of(settings, secret, KEY, address or {})


# which trace


def test_a_message_has_the_same_trace_in_every_process_and_another_one_in_another_installation() -> None:
    here, there = ids(TelemetrySettings()), ids(TelemetrySettings(), secret="another")
    assert here == ids(TelemetrySettings())
    assert here.trace_id != there.trace_id
    assert here.attempt_id(1) != here.attempt_id(2)
    assert trace_of(TelemetrySettings(), "", (*KEY[:2], "m-2"), {}).trace_id != here.trace_id


def test_the_trace_of_a_caller_is_gone_on_with_unless_configured_otherwise() -> None:
    carried = {telemetry.CARRIED: CALLER}
    assert ids(TelemetrySettings(), carried).hex == CALLER.split("-")[1]
    for incoming in ("link", "ignore"):
        assert ids(TelemetrySettings(incoming=incoming), carried).trace_id == ids(TelemetrySettings()).trace_id


@pytest.mark.parametrize(
    ("sampler", "flag", "sampled"),
    [
        ("parentbased_always_on", "01", True),
        ("parentbased_always_on", "00", False),
        ("parentbased_always_off", "01", True),
        ("parentbased_traceidratio", "00", False),
        ("always_on", "00", True),
        ("always_off", "01", False),
    ],
)
def test_a_caller_decides_where_the_sampler_asks_the_parent(sampler: Any, flag: str, sampled: bool) -> None:
    found = ids(TelemetrySettings(sampler=sampler), {telemetry.CARRIED: f"{CALLER[:-2]}{flag}"})
    assert found.sampled is sampled


@pytest.mark.parametrize("ratio", [0.0, 0.001, 0.5, 0.999, 1.0])
def test_a_share_of_messages_is_sampled_as_by_opentelemetry(ratio: float) -> None:
    theirs, ours = TraceIdRatioBased(ratio), TelemetrySettings(sample_ratio=ratio)
    for number in range(300):
        found = trace_of(ours, "", (*KEY[:2], str(number)), {})
        assert found.sampled is theirs.should_sample(None, found.trace_id, "x").decision.is_sampled()


def hexadecimal(length: int) -> st.SearchStrategy[str]:
    return st.integers(0, 16**length - 1).map(lambda number: f"{number:0{length}x}")


@trying(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.tuples(hexadecimal(2), hexadecimal(32), hexadecimal(16), hexadecimal(2), st.text(max_size=3)).map("-".join),
    )
)
def test_any_header_is_a_parent_or_none(header: str) -> None:
    found = parent_of(header)
    if found is not None:
        assert found.trace_id
        assert found.span_id
        assert parent_of(header_of(found)) == found


@pytest.mark.parametrize(
    "header",
    [None, "", f"ff{CALLER[2:]}", f"{CALLER}-x", f"{CALLER[:36]}{'0' * 16}-01", f"00-{'0' * 32}-{'1' * 16}-01"],
)
def test_a_header_that_the_standard_forbids_is_no_parent(header: object) -> None:
    assert parent_of(header) is None


# what is recorded


def test_a_stage_hangs_below_the_door_and_what_it_does_below_the_stage(memory: InMemorySpanExporter) -> None:
    with (
        telemetry.arriving("POST /webhooks/chat", traceparent=CALLER, waited_s=1),
        telemetry.received(telemetry.arrival(), KEY, {telemetry.CARRIED: CALLER}, {"mindbot.message.id": 7}),
        telemetry.span("publish classify", "producer"),
    ):
        assert structlog.contextvars.get_contextvars()["trace_id"] == CALLER.split("-")[1]
    assert "trace_id" not in structlog.contextvars.get_contextvars()
    with telemetry.stage("generate") as traced:
        telemetry.claimed(KEY, {telemetry.CARRIED: CALLER}, 3, {})
        with telemetry.span("chat model-1", "client"):
            pass
        traced.outcome = "done"
    spans = of(memory)
    door, publish, generate, chat = (
        spans[name] for name in ("POST /webhooks/chat", "publish classify", "generate", "chat model-1")
    )
    assert door.parent is not None
    assert format(door.parent.span_id, "016x") == CALLER.split("-")[2]
    assert publish.parent == door.context
    assert generate.parent is not None
    assert generate.parent.span_id == door.context.span_id
    assert chat.parent == generate.context
    assert {format(span.context.trace_id, "032x") for span in spans.values()} == {CALLER.split("-")[1]}
    assert (door.kind, publish.kind, generate.kind) == (SpanKind.SERVER, SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert door.start_time is not None
    assert publish.start_time is not None
    assert publish.start_time - door.start_time >= 1e9
    assert door.resource.attributes["service.name"] == "mindbot-test"


def test_a_link_leads_to_the_caller_where_his_trace_is_not_gone_on_with() -> None:
    exporter = InMemorySpanExporter()
    settings = Settings(telemetry=TelemetrySettings(enabled=True, incoming="link"))
    telemetry.start(settings, "test", SimpleSpanProcessor(exporter))
    try:
        with telemetry.arriving("door", traceparent=CALLER):
            seen = telemetry.arrival()
            assert seen is not None
            assert seen.carried({"to": "x"}) == {"to": "x"}
            with telemetry.received(seen, KEY, {}, {}):
                pass
    finally:
        telemetry.stop()
    (door,) = exporter.get_finished_spans()
    assert door.parent is None
    assert [format(link.context.trace_id, "032x") for link in door.links] == [CALLER.split("-")[1]]
    assert format(door.context.trace_id, "032x") == telemetry.trace_id_of(settings, KEY, {})


def test_an_error_is_told_by_its_kind_and_never_by_its_words(memory: InMemorySpanExporter) -> None:
    words = "the customer's own words"
    with telemetry.stage("generate") as traced:
        telemetry.claimed(KEY, {}, 1, {})
        for error in (Unavailable(words, kind="server"), ValueError(words)):
            with pytest.raises(type(error)), telemetry.span(type(error).__name__):
                raise error
        with pytest.raises(Draining), telemetry.span("told to stop"):
            raise Draining
        traced.outcome = "retry"
    spans = of(memory)
    assert spans["Unavailable"].status.description == "Unavailable:server"
    assert spans["ValueError"].attributes == {"error.type": "ValueError"}
    assert spans["told to stop"].status.is_unset
    assert not spans["generate"].status.is_ok
    assert not any(words in span.to_json() for span in spans.values())


def test_an_attempt_that_died_is_told_of_by_the_next_one(memory: InMemorySpanExporter) -> None:
    with telemetry.stage("generate") as traced:
        telemetry.claimed(KEY, {}, 3, {}, lost=(1000, 3000))
        traced.outcome = "done"
    lost = of(memory)["generate (worker lost)"]
    assert lost.context.span_id == ids(TelemetrySettings()).attempt_id(2)
    assert (lost.start_time, lost.end_time) == (1_000_000_000, 3_000_000_000)


def test_a_message_that_is_not_sampled_leaves_no_span_and_no_id() -> None:
    exporter = InMemorySpanExporter()
    settings = Settings(telemetry=TelemetrySettings(enabled=True, sample_ratio=0))
    telemetry.start(settings, "test", SimpleSpanProcessor(exporter))
    try:
        with telemetry.received(telemetry.arrival(), KEY, {}, {}), telemetry.span("publish"):
            assert "trace_id" not in structlog.contextvars.get_contextvars()
        with telemetry.stage("generate"):
            telemetry.claimed(KEY, {}, 1, {})
    finally:
        telemetry.stop()
    assert exporter.get_finished_spans() == ()
    assert telemetry.trace_id_of(settings, KEY, {}) == ""


# off, dead, forked


def run(code: str, **environment: str) -> str:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_where_nobody_wants_traces_all_works_without_opentelemetry(tmp_path: Any) -> None:
    # redis-py loads OpenTelemetry's metrics where they are installed; so here nothing of it can be had
    code = """
import sys
sys.modules["opentelemetry"] = None
from webhooks.app import create_app
from webhooks import gunicorn_conf
create_app()
gunicorn_conf.post_worker_init(None)
from mindbot_tasks.app import app
app.loader.import_default_modules()
from mindbot_tasks.core import telemetry
with telemetry.arriving("door"), telemetry.span("x"):
    assert telemetry.arrival() is None
print([name for name in sys.modules if name.endswith("telemetry.exporting")])
"""
    assert run(code, MINDBOT_HOME=str(tmp_path)).strip().splitlines()[-1] == "[]"


def test_without_the_extra_there_is_one_line_in_the_log_and_no_trace(tmp_path: Any) -> None:
    code = """
import sys
sys.modules["opentelemetry.exporter.otlp.proto.http.trace_exporter"] = None
from mindbot_tasks.core import log, telemetry
from mindbot_tasks.core.settings import get_settings
log.configure("test")
assert not telemetry.start(get_settings(), "test")
assert not telemetry.is_on()
with telemetry.span("x"), telemetry.span("y"):
    pass
"""
    said = run(code, MINDBOT_HOME=str(tmp_path), OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    (line,) = [json.loads(line) for line in said.splitlines()]
    assert line["event"] == "traces_off"
    assert "mindbot[telemetry]" in line["advice"]


class Broken(SpanExporter):
    """Works as told."""

    works = False

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS if self.works else SpanExportResult.FAILURE

    def shutdown(self) -> None: ...


def test_a_dead_collector_is_told_of_once_and_once_more_when_it_is_back() -> None:
    inner = Broken()
    exporter = exporting.Reported(inner, "http://collector")
    with structlog.testing.capture_logs() as lines:
        for works in (False, False, False, True, True, False):
            inner.works = works
            exporter.export([None, None])  # type: ignore[list-item]
    assert [(line["event"], line.get("lost")) for line in lines] == [
        ("traces_not_exported", None), ("traces_exported_again", 6), ("traces_not_exported", None),
    ]  # fmt: skip


def test_a_dead_collector_delays_neither_the_work_nor_for_long_the_end(
    closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(telemetry=TelemetrySettings(endpoint=f"http://127.0.0.1:{closed_port}"))
    assert telemetry.start(settings, "test")
    began = time.monotonic()
    for number in range(200):
        with telemetry.stage("generate") as traced:
            telemetry.claimed((*KEY[:2], str(number)), {}, 1, {})
            traced.outcome = "done"
    assert time.monotonic() - began < at_most(1)
    telemetry.stop(within_s=0.5)
    assert time.monotonic() - began < at_most(3)
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []


def test_a_process_and_the_ones_it_forks_export_their_own_spans(tmp_path: Any) -> None:
    code = """
import os
from mindbot_tasks.core import telemetry
from mindbot_tasks.core.settings import get_settings
telemetry.start(get_settings(), "test")
def work(name):
    with telemetry.stage(name) as traced:
        telemetry.claimed(("chat", "default", "m-1"), {}, 1, {})
        traced.outcome = "done"
    telemetry.stop()
child = os.fork()
if not child:
    work("in the child")
    os._exit(0)
os.waitpid(child, 0)
work("in the parent")
"""
    with running("otlp") as collector:
        run(code, MINDBOT_HOME=str(tmp_path), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="mine")
        spans = collector.control.call("GET", "/spans")
        assert [call["spans"] for call in collector.control.calls(path="/v1/traces")] == [1, 1]
    assert {span["name"] for span in spans} == {"in the child", "in the parent"}
    assert len({span["resource"]["process.pid"] for span in spans}) == 2
    assert {span["resource"]["service.name"] for span in spans} == {"mine"}
    assert len({span["trace_id"] for span in spans}) == 1


# settings


def test_opentelemetry_s_own_variables_are_honoured(files: Files) -> None:
    found = files.load(
        "telemetry: {endpoint: 'http://file:4318', sample_ratio: 0.5}",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318/",
        OTEL_TRACES_SAMPLER="TraceIdRatio",
        OTEL_TRACES_SAMPLER_ARG="0.25",
        OTEL_SERVICE_NAME="bot",
    ).telemetry
    assert found is not None
    assert found.on
    assert found.address == "http://collector:4318/v1/traces"
    assert (found.sampler, found.sample_ratio, found.service_name) == ("traceidratio", 0.25, "bot")
    found = files.load("{}", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://collector/in").telemetry
    assert found is not None
    assert found.address == "http://collector/in"


@pytest.mark.parametrize("off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}, {}])
def test_traces_are_off_without_an_address_or_when_opentelemetry_is_told_so(files: Files, off: dict[str, str]) -> None:
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"} if off else {}
    settings = files.load("telemetry: {service_name: x}" if not off else "{}", **off, **address)
    assert settings.telemetry is None or not settings.telemetry.on


def test_a_sampler_that_we_do_not_have_is_a_warning(files: Files) -> None:
    settings = files.load(
        "{}", OTEL_TRACES_SAMPLER="jaeger_remote", OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318"
    )
    assert settings.telemetry is not None
    assert settings.telemetry.sampler == "parentbased_traceidratio"
    assert "traceidratio" in settings.warnings[0].text("en")
