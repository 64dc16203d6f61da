"""DingTalk in Stream mode: through the gateway to an answer, also when the process that holds the connections dies."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest
import redis

from mindbot_tasks.stores import connections
from tests.flows.conftest import Told
from tests.flows.scene import Scene, until
from tests.flows.stack import CANARY_TEXT, STREAM_APP
from tests.flows.stories import SQLITE, TOLD_WITHIN_S, Case, cases, story

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)


def _says(scene: Scene, text: str) -> str:
    """The id of a message that was handed to one of the bridge's connections."""

    def handed_over() -> str | None:
        words = f"{text} {scene.mark} {CANARY_TEXT}"
        sent = scene.dingtalk.call(
            "POST",
            "/stream/send",
            {"app": STREAM_APP, "text": words, "user": scene.user, "conversation": scene.conversation},
        )
        return str(sent["msg_id"]) if sent["connection"] else None

    return until(handed_over, "connection to the gateway")


def _acknowledged(scene: Scene) -> set[str]:
    return {ack["msg_id"] for ack in scene.dingtalk.calls(event="ack", accepted=True) if ack.get("msg_id")}


def _answers(scene: Scene) -> Counter[str]:
    """How many answers people saw to each message."""
    return Counter(call["for_msg_id"] for call in scene.shown())


@story(databases=(SQLITE,))
def a_message_through_the_gateway_is_answered(scene: Scene) -> None:
    msg_id = _says(scene, "what is 6*7?")
    (told,) = scene.ended()
    assert (told.message["state"], told.message["bot"]) == ("replied", "stream")
    assert msg_id in _acknowledged(scene)
    assert _answers(scene) == {msg_id: 1}
    content = {"cardPrivateData": {"actionIds": ["a button"], "params": {"feedback": "up"}}}
    pressed = {"outTrackId": f"mindbot.{told.message['id']}.{'0' * 32}", "userId": scene.user, "content": content}
    scene.dingtalk.call("POST", "/stream/card", {"app": STREAM_APP, "data": pressed})

    def votes() -> list[tuple[str, str]]:
        (now,) = scene.messages()
        return [(vote.user_ref, vote.vote) for vote in now.votes]

    assert until(votes, "vote") == [(scene.user, "up")]


@story(phase=3, databases=(SQLITE,))  # not beside the message that kills its workers
def what_the_bridge_acknowledged_survives_its_death_and_what_it_did_not_comes_again(scene: Scene) -> None:
    scene.dingtalk.call("POST", "/stream/times", {"redeliver_s": 3, "redeliveries": 20})
    with redis.Redis.from_url(scene.stack.redis_url, decode_responses=True) as client:

        def holder() -> int | None:
            said = connections.best_of(connections.read_all(client=client) or [], "dingtalk", "stream")
            return int(said.holder.rpartition(":")[2]) if said is not None and said.state == "online" else None

        killed = until(holder, "bridge that is online")
        sent = [_says(scene, f"number {n}") for n in range(4)]
        os.kill(killed, signal.SIGKILL)
        sent += [_says(scene, f"number {n}") for n in range(4, 6)]
        until(lambda: (now := holder()) is not None and now != killed, "bridge after the death of the first")
    for n in range(6, 10):
        sent.append(_says(scene, f"number {n}"))
        if n == 7:
            scene.dingtalk.call("POST", "/stream/act", {"what": "abort"})
    until(lambda: set(sent) <= _acknowledged(scene), "acknowledgement of every message")
    scene.ended(len(sent))
    time.sleep(1)
    assert _answers(scene) == dict.fromkeys(sent, 1)


@pytest.mark.parametrize("case", cases(__name__))
def test_story(told: Told, case: Case) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
