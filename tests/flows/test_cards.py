"""Answers that grow on cards: seen once, whoever dies in the middle."""

from __future__ import annotations

import signal

import orjson
import pytest

from mindbot_tasks.core.words import say
from tests.flows.conftest import Told
from tests.flows.scene import MODEL, STREAM, Scene, steps, until
from tests.flows.stack import CANARY_TEXT
from tests.flows.stories import POSTGRESQL, SQLITE, TOLD_WITHIN_S, Case, cases, story

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)

LONG = "tell me" + " more and more" * 30


@story()
def an_answer_grows_on_a_card_and_gets_a_vote(scene: Scene) -> None:
    scene.fault("drip", MODEL, bytes_per_s=6000)
    scene.says(LONG, bot="cards")
    (told,) = scene.ended()
    ((card, streamed),) = scene.cards().items()
    assert told.message["state"] == "replied"
    assert [sent.external_id for sent in told.sends] == [card]
    assert len(streamed) >= 2
    assert [one["finalize"] for one in streamed].index(True) == len(streamed) - 1
    assert streamed[-1]["text"] == f"You said: {LONG} {scene.mark} {CANARY_TEXT}"
    assert scene.shown() == []
    for action in ("feedback_up", "feedback_down"):
        press = {"url": f"{scene.stack.web}/webhooks/dingtalk/cards", "secret": f"{scene.stack.secret}-cards"}
        answer = scene.dingtalk.call("POST", "/press", {**press, "card": card, "user": scene.user, "action": action})
        assert answer["status"] == 200
        assert "feedback" in orjson.loads(answer["body"])["cardData"]["cardParamMap"]
    (told,) = scene.messages()
    assert [(vote.user_ref, vote.vote) for vote in told.votes] == [(scene.user, "down")]


@story(databases=(SQLITE,))
def a_card_without_an_answer_ends_with_an_apology(scene: Scene) -> None:
    scene.fault("status", MODEL, status=400, always=True)
    scene.says(bot="cards", group=True)
    (told,) = scene.ended()
    (streamed,) = scene.cards().values()
    assert told.message["state"] == "apologised"
    assert [(one["text"], one["error"]) for one in streamed] == [(say("apology.failed", "en"), True)]
    assert scene.shown() == []


@story(phase=6)  # by itself: other stories kill workers too, and each of those would be a strike of this message
def a_worker_killed_while_the_card_grows_leaves_it_to_another(scene: Scene) -> None:
    scene.fault("drip", MODEL, bytes_per_s=1200)
    scene.says(LONG, bot="cards")
    until(lambda: len(next(iter(scene.cards().values()), [])) >= 2, "growing card", within_s=90)
    (told,) = scene.messages()
    assert told.events[-1].step == "generate:started"
    scene.stack.send_signal(scene.stack.role_of(told.events[-1].worker), signal.SIGKILL)
    (told,) = scene.ended()
    (streamed,) = scene.cards().values()
    assert told.message["state"] == "replied"
    assert "worker lost" in steps(told)
    assert len([one for one in streamed if one["finalize"]]) == 1
    assert streamed[-1]["finalize"]
    assert scene.mark in streamed[-1]["text"]
    assert scene.shown() == []


@story(phase=8, databases=(POSTGRESQL,))  # not beside the worker that is stopped, and takes its time
def a_worker_killed_between_the_last_word_and_its_record_causes_no_second_answer(scene: Scene) -> None:
    last_word = f'{scene.mark} {CANARY_TEXT}","isFull":true,"isFinalize":true'
    scene.fault("silence", STREAM, contains=last_word, seconds=60)
    scene.says(bot="cards")
    until(lambda: any(one["finalize"] for many in scene.cards().values() for one in many), "last word")
    (told,) = scene.messages()
    assert told.events[-1].step == "reply:started"
    scene.stack.send_signal(scene.stack.role_of(told.events[-1].worker), signal.SIGKILL)
    (told,) = scene.ended()
    ((card, streamed),) = scene.cards().items()
    assert told.message["state"] == "replied"
    assert steps(told).count("reply:started") == 2
    assert told.sends[0].external_id == card
    assert len([one for one in streamed if one["finalize"]]) == 1
    assert scene.dingtalk.calls(path=STREAM, card=card, repeat=True), "it was said again, to no effect"
    assert scene.shown() == []


@pytest.mark.parametrize("case", cases(__name__))
def test_story(case: Case, told: Told) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
