"""Whatever a server sends: an answer, or an error of ours with a name."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindbot_tasks.core import sse
from mindbot_tasks.core.errors import FarSideError, Unavailable
from mindbot_tasks.llm.dify import inputs, outputs, pauses, sessions
from mindbot_tasks.llm.dify.address import Family
from mindbot_tasks.llm.dify.events import Told
from mindbot_tasks.llm.visible import Visible

NAMES = (
    "message", "agent_message", "message_replace", "message_end", "message_file", "text_chunk", "workflow_started",
    "workflow_finished", "workflow_paused", "human_input_required", "error", "node_finished", "ping", "surprise",
)  # fmt: skip
KEYS = (
    "answer", "data", "text", "status", "outputs", "error", "code", "metadata", "usage", "retriever_resources", "files",
    "url", "belongs_to", "task_id", "conversation_id", "workflow_run_id", "form_token", "inputs", "actions", "reasons",
    "prompt_tokens", "total_tokens", "id", "title", "expiration_time", "mime_type", "output_variable_name",
)  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["succeeded", "failed", "stopped", "paused", "{", '{"a": 1}', "429"])
)  # fmt: skip
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
EVENTS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6).flatmap(
    lambda event: st.sampled_from(NAMES).map(lambda name: {**event, "event": name})
)


def told(family: Family = "chat") -> Told:
    return Told(Visible(lambda _: None, time.monotonic()), "workflow:flow", family)


@settings(max_examples=60)
@given(st.lists(EVENTS | JSON, max_size=8), st.sampled_from(["chat", "workflow", "completion"]))
def test_any_events_end_in_an_answer_or_a_named_error(events: list[Any], family: Family) -> None:
    heard = told(family)
    try:
        heard.take_events(sse.Event("", orjson.dumps(event).decode()) for event in events)
    except FarSideError as exc:
        named = bool(exc.kind) and exc.provider == "workflow:flow"
    else:
        named = heard.ended and isinstance(heard.visible.end(), str)
    assert named


@given(st.lists(st.text(max_size=30), max_size=4))
def test_what_is_no_json_is_a_protocol_error(lines: list[str]) -> None:
    with pytest.raises(Unavailable):
        told().take_events(sse.Event("", line) for line in lines)


@given(JSON)
def test_whatever_an_app_tells_about_itself_can_be_read(value: Any) -> None:
    fields = inputs.read_parameters(value).fields
    assert inputs.text_field(fields)
    assert isinstance(outputs.text_of(value), str)
    assert isinstance(outputs.files_in(value), list)
    form = pauses.read_form(value)
    assert pauses.asked(form, "en")
    assert pauses.asked(form, "zh")


@given(st.text(max_size=300))
def test_any_stored_session_can_be_read(text: str) -> None:
    assert len(sessions.write(sessions.read(text))) <= 255


@given(st.text(max_size=100), st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=3))
def test_any_words_are_a_decision_or_none(text: str, actions: list[tuple[str, str]]) -> None:
    form = pauses.Form("t", actions=tuple(actions), fields=("a",))
    found = pauses.decision(form, text)
    assert found is None or found.action in {*dict(actions), "submit"}


@pytest.mark.parametrize("order", [("workflow_finished", "message_end"), ("message_end", "workflow_finished")])
def test_sources_are_heard_in_either_order(order: tuple[str, str]) -> None:
    """Older versions tell the sources after the end of the run."""
    made: dict[str, dict[str, Any]] = {
        "workflow_finished": {"data": {"status": "succeeded", "outputs": {"answer": "yes"}}},
        "message_end": {"metadata": {"retriever_resources": [{"document_name": "A"}]}},
    }
    heard = told()
    events = [{"event": "message", "answer": "yes"}, *({"event": name, **made[name]} for name in order)]
    heard.take_events(sse.Event("", orjson.dumps(event).decode()) for event in events)
    assert (heard.visible.end(), heard.citations) == ("yes", [{"document_name": "A"}])
