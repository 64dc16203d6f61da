"""A message through the stages of one process: every span of it, and every try, is in one trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from emulators.running import Emulator
from mindbot_tasks import intake
from mindbot_tasks.core import telemetry
from mindbot_tasks.core.errors import Throttled
from mindbot_tasks.core.settings import TelemetrySettings
from mindbot_tasks.llm import fallback
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores import replaying
from mindbot_tasks.stores.database import transaction
from tests.llm.agent.having import agent, provider
from tests.stages.conftest import Configure, Ledger
from tests.stores.words import message

C, G, R = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Spans = Callable[[], list[ReadableSpan]]


@pytest.fixture
def spans(configure: Configure) -> Iterator[Spans]:
    """What has been recorded, in the order in which it ended."""
    exporter = InMemorySpanExporter()
    settings = configure(telemetry=TelemetrySettings(enabled=True))
    telemetry.start(settings, "test", SimpleSpanProcessor(exporter))
    yield lambda: list(exporter.get_finished_spans())
    telemetry.stop()


def traces_in(found: list[ReadableSpan]) -> set[str]:
    return {format(span.context.trace_id, "032x") for span in found}


def test_a_message_is_one_trace_whose_id_is_shown(spans: Spans, ledger: Ledger) -> None:
    one = ledger.receive()
    assert ledger.run(one, C, G, R) == "SUCCESS"
    found = spans()
    names = [span.name for span in found]
    assert names == ["record", "receive", "classify", "chat offline", "generate", "send stooge", "reply"]
    assert traces_in(found) == {ledger.told(one).message["trace_id"]}
    root = found[1].context
    of_stages = [span for span in found if span.name in ("classify", "generate", "reply")]
    assert {span.parent and span.parent.span_id for span in of_stages} == {root.span_id}
    assert {(span.attributes or {})["mindbot.message.id"] for span in of_stages} == {one}


def test_a_duplicate_is_one_more_span_of_the_same_trace(spans: Spans, ledger: Ledger) -> None:
    twice = message(platform="stooge")
    intake.receive([twice])
    intake.receive([twice])
    first, second = (span for span in spans() if span.name == "receive")
    assert second.parent == first.context or (second.parent and second.parent.span_id == first.context.span_id)
    assert (second.attributes or {})["mindbot.duplicate"] is True


def test_a_message_that_nobody_answers_has_no_trace(spans: Spans, ledger: Ledger) -> None:
    ledger.receive(addressed=False)
    assert spans() == []


def test_tries_and_replays_are_in_the_same_trace(spans: Spans, ledger: Ledger) -> None:
    one = ledger.receive()
    ledger.stooge.script = [Throttled("slow down", retry_after_s=0.01)]
    ledger.run(one, C, G)
    assert ledger.run(one, R) == "RETRY"
    ledger.awaken(one)
    ledger.run(one, R)
    with transaction() as connection:
        replaying.rewind(connection, one, R, deadline_ms=60_000)
    ledger.run(one, R)
    replies = [span for span in spans() if span.name == "reply"]
    assert [(span.attributes or {})["mindbot.outcome"] for span in replies] == ["retry", "done", "done"]
    assert replies[0].status.description == "Throttled:server"
    assert len({span.context.span_id for span in replies}) == 3
    assert len(traces_in(spans())) == 1


def test_an_attempt_whose_worker_died_is_told_of_by_the_next(
    spans: Spans, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ledger.receive()
    ledger.run(one, C)
    usual = fallback.answer

    def die(*_: Any) -> None:
        raise KeyboardInterrupt  # as a process that is killed: nothing after it runs

    monkeypatch.setattr(fallback, "answer", die)
    with pytest.raises(KeyboardInterrupt):
        ledger.run(one, G)
    monkeypatch.setattr(fallback, "answer", usual)
    ledger.change(one, lease_owner=None, lease_until=None)
    assert ledger.run(one, G) == "SUCCESS"
    # the first is the one that "died", which in a test goes through the exits all the same
    _, lost, again = (span for span in spans() if span.name.startswith("generate"))
    assert (lost.name, lost.status.description) == ("generate (worker lost)", "worker_lost")
    assert lost.start_time is not None
    assert again.start_time is not None
    assert abs(again.start_time - lost.start_time) < 60e9


def test_a_crash_is_told_of_once(spans: Spans, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: Any) -> None:
        raise ValueError("words of the asker")

    one = ledger.receive()
    ledger.run(one, C)
    with monkeypatch.context() as broken:
        broken.setattr(fallback, "answer", stumble)
        ledger.run(one, G)
    ledger.awaken(one)
    ledger.run(one, G)
    tries = [span for span in spans() if span.name.startswith("generate")]
    assert [span.name for span in tries] == ["generate", "generate"]
    assert tries[0].status.description == "ValueError"
    assert not any("words of the asker" in span.to_json() for span in spans())


def test_steps_and_tools_of_an_agent_hang_below_it(
    configure: Configure, openai: Emulator, spans: Spans, ledger: Ledger
) -> None:
    configure(
        telemetry=TelemetrySettings(enabled=True), providers={"openai": provider(openai)}, agent=agent("calculator")
    )
    one = ledger.receive('call:calculator {"expression": "6*7"}')
    ledger.run(one, C, G)
    found = spans()
    names = {span.context.span_id: span.name for span in found}
    above = [(span.name, names.get(span.parent.span_id)) for span in found if span.parent is not None]
    assert above.count(("chat mock", "invoke_agent agent")) == 2
    assert ("execute_tool calculator", "invoke_agent agent") in above
    assert ("invoke_agent agent", "generate") in above
    (tool,) = [span for span in found if span.name.startswith("execute_tool")]
    assert (tool.attributes or {})["mindbot.outcome"] == "ok"
    assert not any("6*7" in span.to_json() for span in found)


def test_the_trace_of_a_caller_is_kept_with_the_message(spans: Spans, ledger: Ledger) -> None:
    with telemetry.arriving("door", traceparent=CALLER):
        one = ledger.receive()
    ledger.run(one, C, G, R)
    assert traces_in(spans()) == {CALLER.split("-")[1]} == {ledger.told(one).message["trace_id"]}


def test_without_traces_a_message_has_no_trace_id(ledger: Ledger) -> None:
    with telemetry.arriving("door", traceparent=CALLER):
        one = ledger.receive()
    told = ledger.told(one).message
    assert told["trace_id"] is None
    assert "address" not in told
