"""Messages of an AIM account: in by the process that holds the connection, and out by it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.conftest import Told
from tests.flows.scene import MODEL, Scene, steps, until
from tests.flows.stack import AIM_NAME
from tests.flows.stories import SQLITE, TOLD_WITHIN_S, Case, cases, story

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)


def say(scene: Scene, text: str, **options: Any) -> None:
    until(lambda: "mindbot" in scene.oscar.call("GET", "/oscar")["online"], "account online")
    scene.conversation = scene.user
    scene.oscar.call("POST", "/send", {"from": scene.user, "to": AIM_NAME, "text": f"{text} {scene.mark}", **options})


def heard(scene: Scene) -> list[dict[str, Any]]:
    return scene.oscar.calls(path="/oscar/04/06", to=scene.user)


@story(databases=(SQLITE,))
def an_instant_message_is_answered(scene: Scene) -> None:
    say(scene, "<HTML><BODY>what is 1 &lt; 2?</BODY></HTML>")
    (told,) = scene.ended()
    (answer,) = heard(scene)
    assert answer["text"] == f"<HTML><BODY>You said: what is 1 &lt; 2? {scene.mark}</BODY></HTML>"
    assert told.message["state"] == "replied"
    assert steps(told)[-2:] == ["reply:started", "replied"]
    assert scene.oscar.call("GET", "/oscar")["complaints"] == []


@story(databases=(SQLITE,))
def an_away_message_is_never_answered(scene: Scene) -> None:
    say(scene, "I am away", automatic=True)
    (told,) = scene.ended()
    assert told.message["state"] == "ignored"
    assert heard(scene) == []


@story(databases=(SQLITE,))
def an_apology_goes_out_by_the_connection_as_well(scene: Scene) -> None:
    scene.fault("status", MODEL, status=400, always=True)
    say(scene, "what is this?")
    (told,) = scene.ended()
    assert told.message["state"] == "apologised"
    assert len(heard(scene)) == 1


@story(databases=(SQLITE,), phase=7)  # not beside the message that kills its workers, or both would have three strikes
def a_lost_connection_comes_back_and_the_answer_arrives_once(scene: Scene) -> None:
    scene.fault("delay", MODEL, delay_ms=1500)
    say(scene, "wait for it")
    until(lambda: scene.asked(), "question to the model")
    scene.oscar.call("POST", "/end", {"name": AIM_NAME, "how": "rst"})
    (told,) = scene.ended()
    assert told.message["state"] == "replied"
    assert len({call["cookie"] for call in heard(scene)}) == 1


@pytest.mark.parametrize("case", cases(__name__))
def test_story(case: Case, told: Told) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
