"""Frames of Stream mode: whatever comes is a frame or a typed error, and every acknowledgement has the form."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.dingtalk.gateway_link import check
from mindbot_tasks.bridges import dingtalk_frames as frames
from mindbot_tasks.bridges.backoff import Backoff
from mindbot_tasks.core.errors import PayloadInvalid

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


def test_the_documented_frame_is_read_and_its_acknowledgement_has_the_documented_form() -> None:
    text = json.dumps(
        {
            "specVersion": "1.0",
            "type": "CALLBACK",
            "headers": {"appId": "a", "messageId": "m1", "topic": frames.ROBOT, "time": "1700000000000"},
            "data": '{"msgId":"x"}',
        }
    )
    frame = frames.read(text)
    assert frame == frames.Frame("CALLBACK", frames.ROBOT, "m1", '{"msgId":"x"}')
    assert json.loads(frames.acknowledge(frame, {"response": None})) == {
        "code": 200,
        "headers": {"contentType": "application/json", "messageId": "m1"},
        "message": "OK",
        "data": '{"response":null}',
    }


def test_a_ping_is_answered_with_its_own_data() -> None:
    frame = frames.Frame("SYSTEM", "ping", "p1", '{"opaque":"x"}')
    assert json.loads(json.loads(frames.echo(frame))["data"]) == {"opaque": "x"}


@given(st.binary() | st.text())
def test_any_bytes_are_a_frame_or_a_typed_error(text: str | bytes) -> None:
    with contextlib.suppress(PayloadInvalid):
        frames.read(text)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "headers", "data", "specVersion"), ANY_JSON)))
def test_any_object_is_a_frame_that_can_be_acknowledged_or_a_typed_error(body: dict[str, object]) -> None:
    try:
        frame = frames.read(json.dumps(body))
    except PayloadInvalid:
        return
    for text in (frames.echo(frame), frames.acknowledge(frame, {"response": None}, frames.UNREADABLE)):
        _, problems = check(text)
        assert problems in ([], ["headers.messageId is missing"])


@pytest.mark.parametrize("data", ['{"opaque":"\\ud800"}', '{"n":1e999}', "[" * 5000, "nonsense", ""])
def test_a_ping_with_odd_data_is_answered_all_the_same(data: str) -> None:
    _, problems = check(frames.echo(frames.Frame("SYSTEM", "ping", "p1", data)))
    assert problems == []


@pytest.mark.parametrize("data", ['{"nick":"\\ud83d"}', '["\\ud83d"]'])
def test_data_that_is_no_string_and_odd_is_read_all_the_same(data: str) -> None:
    frame = frames.read(f'{{"type":"CALLBACK","headers":{{"topic":"/t","messageId":"p1"}},"data":{data}}}')
    assert json.loads(frame.data) == json.loads(data)


def test_waits_grow_with_jitter_up_to_their_limit_and_begin_anew_after_success() -> None:
    backoff = Backoff(1, 60, seed=1)
    waits = [backoff.failed() for _ in range(40)]
    assert all(wait <= min(60, 2.0**number) for number, wait in enumerate(waits))
    assert max(waits[10:]) > 30
    assert len(set(waits)) == 40
    backoff.worked()
    assert backoff.failed() <= 1
    assert 48 <= backoff.refused() <= 60
