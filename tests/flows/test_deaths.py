"""Workers that die or stop in the middle of an answer: it goes on elsewhere, and is seen once."""

from __future__ import annotations

import signal
import time

import pytest

from mindbot_tasks.alone import ROLE
from mindbot_tasks.core.words import say
from mindbot_tasks.stores.trace import Trace
from tests.flows.conftest import Told
from tests.flows.scene import DIFY, MODEL, PATIENCE_S, Scene, steps, until
from tests.flows.stack import DRAIN_S
from tests.flows.stories import POSTGRESQL, SQLITE, TOLD_WITHIN_S, Case, cases, story
from tests.flows.words import DEADLY
from tests.slack import at_most

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)


def _generating(scene: Scene, number: int = 1) -> Trace:
    """The latest message of the scene, once a worker has begun to generate its answer."""

    def begun() -> Trace | None:
        told = scene.messages()
        return told[-1] if len(told) == number and "generate:started" in steps(told[-1]) else None

    return until(begun, "worker at work")


@story(phase=7, databases=(POSTGRESQL,))  # by itself: what another story kills may have spans of this one to tell
def an_answer_whose_worker_is_killed_is_begun_again_within_15_s(scene: Scene) -> None:
    scene.fault("silence", MODEL, seconds=30)
    scene.says()
    told = _generating(scene)
    until(scene.asked, "call of the model")
    scene.spans(told, "classify")  # the same worker may have done that; what it has not told yet dies with it
    scene.stack.send_signal(scene.stack.role_of(told.events[-1].worker), signal.SIGKILL)
    until(lambda: len(scene.asked()) == 2, "second call of the model", within_s=at_most(15))
    (told,) = scene.ended()
    assert told.message["state"] == "replied"
    assert "worker lost" in steps(told)
    awaited = "classify", "generate (worker lost)", "generate", "reply", "send dingtalk"
    spans = scene.spans(told, "POST /webhooks/dingtalk", *awaited)
    assert {span["trace_id"] for span in spans} == {spans[0]["trace_id"]}
    (root,) = [span for span in spans if not span["parent_id"]]
    of_stages = {span["name"]: span for span in spans if span["parent_id"] == root["span_id"]}
    assert {"classify", "generate (worker lost)", "generate", "reply"} <= set(of_stages)
    assert of_stages["generate (worker lost)"]["attributes"]["mindbot.attempt"] == 2
    assert of_stages["generate"]["attributes"]["mindbot.attempt"] == 3
    time.sleep(1)
    assert len(scene.shown()) == 1


@story(phase=3, databases=(POSTGRESQL,))
def a_worker_that_is_stopped_hands_its_answer_over_with_its_conversation(scene: Scene) -> None:
    scene.says("the first quarterly report")
    scene.ended()
    scene.fault("drip", DIFY, bytes_per_s=400)
    scene.says("the second quarterly report, " + "and then some more " * 10)
    told = _generating(scene, 2)
    until(lambda: len(scene.asked(dify=True)) == 2, "call of the workflow")
    role = scene.stack.role_of(told.events[-1].worker)
    asked_at = time.monotonic()
    process = scene.stack.send_signal(role, signal.SIGTERM)
    until(lambda: "generate:released" in steps(scene.messages()[-1]), "handing over", within_s=at_most(DRAIN_S + 2))
    assert time.monotonic() - asked_at >= DRAIN_S - 0.5
    assert process.wait(at_most(5)) == 0
    told = scene.ended(2)[-1]
    assert told.message["state"] == "replied"
    first, second, third = scene.asked(dify=True)
    assert first["conversation_id"] == second["conversation_id"] == third["conversation_id"]
    workers = [event.worker for event in told.events if event.step == "generate:started"]
    assert len(set(workers)) == 2
    assert scene.dify.calls(path=f"{DIFY}/{second['task_id']}/stop"), "Dify was not told to stop"
    assert len(scene.shown()) == 2


@story(phase=4, databases=(POSTGRESQL,))
def nobody_calls_a_provider_during_the_pause_it_asked_for(scene: Scene) -> None:
    pause_s = 4
    scene.fault("throttle", MODEL, retry_after=pause_s, times=2)
    since = max((call["seq"] for call in scene.openai.calls()), default=0)
    scene.says("first")
    refused = scene.openai.wait_for(2, since=since, status=429)
    others = [Scene(scene.stack) for _ in range(4)]
    for other in others:
        other.says("meanwhile")
    scene.ended()
    for other in others:
        other.ended()
        assert len(other.shown()) == 1
    assert len(refused) == 2
    paused_until_ms = refused[0]["at_ms"] + 1000 * pause_s
    # the other database's stack uses the same vendor, and has pauses of its own
    calls = [call for asker in (scene, *others) for call in asker.asked()]
    assert len(calls) == 5
    assert [call for call in calls if call["at_ms"] < paused_until_ms] == []
    for other in others:
        other.close()
    assert len(scene.shown()) == 1


@story(phase=2, databases=(SQLITE,))
def a_message_that_kills_its_workers_is_put_aside_after_three_attempts_and_takes_nobody_along(scene: Scene) -> None:
    neighbours = [Scene(scene.stack) for _ in range(6)]
    for neighbour in neighbours:  # whose answers take longer than all three attempts
        neighbour.fault("delay", MODEL, delay_ms=8_000, always=True)
        neighbour.says("tell me a long story")
    for neighbour in neighbours:
        _generating(neighbour)
    scene.says(f"please drink this {DEADLY} now")
    (told,) = scene.ended(within_s=PATIENCE_S)
    assert told.message["state"] == "quarantined"
    started = [event.worker for event in told.events if event.step == "generate:started"]
    assert len(started) == 3
    assert [worker.partition("@")[0] == ROLE for worker in started] == [False, False, True]
    assert scene.texts() == [say("apology.poison", "en")]
    assert scene.asked() == []
    for neighbour in neighbours:
        (beside,) = neighbour.ended()
        assert beside.message["state"] == "replied"
        # again only if the worker died between the platform's yes and our record of it
        assert 1 <= len(neighbour.shown()) <= steps(beside).count("reply:started")
        neighbour.close()


@pytest.mark.parametrize("case", cases(__name__))
def test_story(case: Case, told: Told) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
