"""Messages that nobody asked for: delivered in order with everything else, once, and without an apology."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.flows.conftest import Told
from tests.flows.scene import MODEL, TO_GROUP, TO_PERSON, Scene, steps, until
from tests.flows.stack import API_KEY
from tests.flows.stories import SQLITE, TOLD_WITHIN_S, Case, cases, story

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)


def _send(scene: Scene, **body: Any) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    body |= {"platform": "dingtalk"}

    def post() -> bool:
        answer = requests.post(f"{scene.stack.web}/api/v1/send", json=body, headers=headers, timeout=10)
        assert answer.status_code in (202, 503), answer.text  # 503: come again, with the same key
        return answer.status_code == 202

    until(post, "202 of the web side")


@story()
def a_group_is_written_to_behind_the_answer_that_is_under_way(scene: Scene) -> None:
    scene.fault("delay", MODEL, delay_ms=1000)
    scene.says("a question", group=True)
    for _ in range(2):
        _send(scene, to=scene.conversation, group=True, text="a **note**", key=scene.mark)
    asked, sent = scene.ended(2)
    assert (asked.message["state"], sent.message["state"]) == ("replied", "replied")
    assert scene.texts()[1:] == ["a **note**"]
    assert scene.shown()[1]["path"] == TO_GROUP
    scene.says("and now?", group=True)
    scene.ended(3)
    assert scene.asked()[-1]["messages"] >= 4, "what the bot said first is part of the conversation"


@story(databases=(SQLITE,))
def a_person_who_cannot_be_reached_gets_no_apology(scene: Scene) -> None:
    scene.conversation = scene.user  # one that the bot begins
    scene.fault("status", TO_PERSON, status=400, contains=scene.user, always=True)
    _send(scene, to=scene.user, text="hello")
    (told,) = scene.ended()
    assert told.message["state"] == "expired"
    assert "apologise:started" in steps(told)
    assert len(scene.dingtalk.calls(path=TO_PERSON, status=400)) >= 1
    assert scene.shown() == []


@pytest.mark.parametrize("case", cases(__name__))
def test_story(case: Case, told: Told) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
