"""Chat commands, limits and bursts with real workers."""

from __future__ import annotations

import time

import pytest

from mindbot_tasks.core.words import say
from tests.flows.conftest import Told
from tests.flows.scene import MODEL, Scene, steps, until
from tests.flows.stack import BURST_WINDOW_S
from tests.flows.stories import SQLITE, TOLD_WITHIN_S, Case, cases, story
from tests.slack import at_most

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)


@story()
def a_running_answer_is_stopped_within_two_seconds(scene: Scene) -> None:
    scene.fault("silence", MODEL, seconds=25)
    scene.says("a long story, please")
    until(scene.asked, "call of the model")
    stopped_at = time.monotonic()
    scene.says("/stop")
    until(scene.shown, "confirmation", within_s=at_most(2))
    # the worker, too, has let go of the model, and does not wait for it for 20 seconds
    answer = scene.messages()[0]
    until(
        lambda: [
            line
            for log in scene.stack.logs
            for line in log.read_text(errors="replace").splitlines()
            if "message_given_up" in line and str(answer.message["id"]) in line
        ],
        "word of the worker",
        within_s=at_most(2),
    )
    assert time.monotonic() - stopped_at < at_most(4)
    answer, stop = scene.ended(2)
    assert (answer.message["state"], answer.message["verdict"]) == ("apologised", "cancelled")
    assert stop.message["state"] == "replied"
    scene.says("and now?")
    scene.ended(3)
    assert [text.split()[0] for text in scene.texts()] == [say("commands.stopped", "en"), "You"]


@story(databases=(SQLITE,))
def a_growing_card_that_is_stopped_says_so(scene: Scene) -> None:
    scene.fault("drip", MODEL, bytes_per_s=2500)
    scene.says("tell me" + " more and more" * 60, bot="cards")
    until(lambda: len(next(iter(scene.cards().values()), [])) >= 2, "growing card")
    card = next(iter(scene.cards()))
    scene.says("/stop", bot="cards")
    scene.ended(2)
    last = scene.cards()[card][-1]
    assert last["text"] == say("apology.cancelled", "en")
    assert last["finalize"] or last["error"]


@story()
def new_forgets_what_was_said(scene: Scene) -> None:
    for number, text in enumerate(("my name is Ada", "/new", "who am I?"), 1):
        scene.says(text)
        scene.ended(number)
    assert [call["messages"] for call in scene.asked()] == [1, 1]


@story(phase=3, databases=(SQLITE,))  # where nothing has to be posted twice, which would count twice
def who_asks_too_much_is_told_so_once(scene: Scene) -> None:
    for number in range(5):
        scene.says(f"question {number}", bot="limited")
    told = scene.ended(5)
    assert [one.message["state"] for one in told] == ["replied"] * 3 + ["ignored"] * 2
    assert len(scene.asked()) == 2
    assert scene.texts()[2] == say("commands.limited", "en", wait_s=3600)


@story()
def what_is_said_in_one_breath_is_answered_at_once(scene: Scene) -> None:
    for text in ("my printer", "the one upstairs", "is on fire"):
        scene.says(text, bot="patient")
    began = time.monotonic()
    told = scene.ended(3)
    assert time.monotonic() - began < BURST_WINDOW_S + at_most(3), "nobody had to wait for the sweeper"
    assert [one.message["state"] for one in told] == ["replied"] * 3
    assert [steps(one)[-1] for one in told] == ["replied"] * 3
    (text,) = scene.texts()
    assert text.count(scene.mark) == 3
    assert len(scene.asked()) == 1


@pytest.mark.parametrize("case", cases(__name__))
def test_flow(told: Told, case: Case) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
