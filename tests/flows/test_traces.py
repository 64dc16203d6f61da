"""Every message is one trace, whichever processes have had it in their hands."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.conftest import Told
from tests.flows.scene import Scene, until
from tests.flows.stories import SQLITE, TOLD_WITHIN_S, Case, cases, story

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)


@story()
def a_message_is_one_trace_from_the_door_to_the_reply(scene: Scene) -> None:
    scene.says("what is this?")
    (told,) = scene.ended()
    inner = "record", "publish classify", "classify", "generate", "chat model-1", "reply", "send dingtalk"
    spans = scene.spans(told, "POST /webhooks/dingtalk", *inner)
    assert len({span["trace_id"] for span in spans}) == 1
    named = {span["name"]: span for span in spans}
    names = {span["span_id"]: span["name"] for span in spans}
    door = "POST /webhooks/dingtalk"
    above = {span["name"]: names.get(span["parent_id"]) for span in spans}
    assert above == {
        door: None, "record": door, "publish classify": door, "classify": door, "generate": door, "reply": door,
        "chat model-1": "generate", "send dingtalk": "reply",
    }  # fmt: skip
    roles = {span["name"]: span["resource"]["mindbot.role"] for span in spans}
    assert roles[door] in ("web", "other_web")
    assert roles["generate"] in ("worker1", "worker2")
    assert named["generate"]["resource"]["service.name"] == f"mindbot-{roles['generate']}"
    asked = named["chat model-1"]["attributes"]
    assert asked["gen_ai.system"] == "openai"
    assert asked["gen_ai.request.model"] == "model-1"
    assert asked["gen_ai.usage.output_tokens"] > 0
    assert [span["error"] for span in spans if span["error"]] == []
    began = [named[name]["began_ns"] for name in (door, "record", "classify", "generate", "reply", "send dingtalk")]
    assert began == sorted(began)


@story(databases=(SQLITE,))
def the_trace_of_a_caller_goes_on(scene: Scene) -> None:
    trace_id, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    scene.chats("hello", more_headers={"traceparent": f"00-{trace_id}-{caller}-01"})
    (told,) = scene.ended()
    spans = scene.spans(told, "POST /webhooks/chat", "classify", "generate", "reply")
    assert {span["trace_id"] for span in spans} == {trace_id}
    (door,) = [span for span in spans if span["parent_id"] == caller]
    assert door["name"] == "POST /webhooks/chat"


@story(databases=(SQLITE,))
def what_fails_and_is_tried_again_stays_in_the_same_trace(scene: Scene) -> None:
    scene.fault("status", "/v1/chat/completions", status=500, times=2)
    scene.says("hello")
    (told,) = scene.ended()

    def failed() -> list[dict[str, Any]]:
        spans = scene.spans(told, "POST /webhooks/dingtalk", "reply", "send dingtalk")
        return spans if "Unavailable:server" in [span["error"] for span in spans] else []

    assert len({span["trace_id"] for span in until(failed, "span of the failed call")}) == 1


@pytest.mark.parametrize("case", cases(__name__))
def test_story(case: Case, told: Told) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
