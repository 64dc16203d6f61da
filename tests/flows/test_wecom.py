"""Members of WeCom: an encrypted callback comes in, the answer is a message of the app."""

from __future__ import annotations

import base64
import signal
from typing import Any

import pytest
from sqlalchemy import select

from emulators.senders import Sent
from emulators.wecom import WeComSender
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.tables import FileRow
from tests.flows.conftest import Told
from tests.flows.scene import Scene, steps, until
from tests.flows.stack import CANARY_TEXT, WECOM
from tests.flows.stories import POSTGRESQL, SQLITE, TOLD_WITHIN_S, Case, cases, story

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SEND = "/cgi-bin/message/send"


def _says(scene: Scene, text: str = "hello", **options: Any) -> Sent:
    """Post a WeCom callback of this story's user, marked."""
    scene.conversation = scene.user  # a member and the app have one conversation
    words = f"{text} {scene.mark} {CANARY_TEXT}"
    with WeComSender(f"{scene.stack.web}/webhooks/wecom", WECOM) as sender:

        def post() -> Sent | None:
            sent = sender.send(words, user=scene.user, **options)
            return sent if sent.acknowledged else None

        return until(post, "200 of the web side")


def _shown(scene: Scene) -> list[dict[str, Any]]:
    return [call for call in scene.wecom.calls(path=SEND, accepted=True) if scene.user in (call.get("reached") or ())]


@story()
def a_member_is_answered_by_the_app(scene: Scene) -> None:
    with WeComSender(f"{scene.stack.web}/webhooks/wecom", WECOM) as sender:
        checked = sender.verify("4242424242")
        assert (checked.status, checked.body) == (200, "4242424242")
        forged = sender.send("forged", user=scene.user, wrong="signature")
        assert {answer.status for answer in forged.answers} <= {401, 403}
    sent = _says(scene, "what is this?")
    assert sent.answers[-1].body == ""
    _says(scene, "what is this?", msg_id=sent.msg_id)
    assert _says(scene, kind="event", event="enter_agent").answers[-1].body == ""
    (told,) = scene.ended()
    (shown,) = _shown(scene)
    assert shown["text"] == f"You said: what is this? {scene.mark} {CANARY_TEXT}"
    assert (shown["msgtype"], shown["agentid"]) == ("text", 1_000_002)
    assert told.message["state"] == "replied"


@story()
def a_send_whose_answer_is_lost_is_repeated_and_shown_once(scene: Scene) -> None:
    scene.wecom.fault("accept_then_cut", SEND, contains=scene.user, times=1)
    _says(scene)
    (told,) = scene.ended()
    assert told.message["state"] == "replied"
    assert len(_shown(scene)) == 1
    assert [call for call in scene.wecom.calls(path=SEND, duplicate=True) if call["users"] == scene.user]


@story(databases=(SQLITE,))
def the_picture_of_a_member_is_fetched_and_kept(scene: Scene) -> None:
    given = scene.wecom.call(
        "POST", "/media", {"base64": base64.b64encode(PNG).decode(), "name": "plan.png", "media_type": "image/png"}
    )
    _says(scene, kind="image", media_id=given["media_id"])
    (told,) = scene.ended()
    assert told.message["state"] == "replied"
    with reading(scene.stack.engine) as connection:
        (file,) = connection.execute(select(FileRow).where(FileRow.message_id == told.message["id"])).all()
    assert (file.name, file.media_type, file.size) == ("plan.png", "image/png", len(PNG))
    assert len(_shown(scene)) == 1


@story(phase=5, databases=(POSTGRESQL,))
def a_worker_that_dies_between_the_send_and_its_record_leaves_no_second_answer(scene: Scene) -> None:
    scene.wecom.fault("delay", SEND, contains=scene.user, delay_ms=20_000)
    _says(scene)
    until(lambda: _shown(scene), "message at WeCom")
    (told,) = scene.messages()
    scene.stack.send_signal(scene.stack.role_of(told.events[-1].worker), signal.SIGKILL)
    (told,) = scene.ended()
    assert told.message["state"] == "replied"
    assert "worker lost" in steps(told)
    assert len(_shown(scene)) == 1
    assert [call for call in scene.wecom.calls(path=SEND, duplicate=True) if call["users"] == scene.user]


@pytest.mark.parametrize("case", cases(__name__))
def test_story(case: Case, told: Told) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
