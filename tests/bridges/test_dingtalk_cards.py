"""Pressed buttons: the answer is there within two seconds, whatever storing takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from emulators.running import Emulator
from mindbot_tasks import intake
from mindbot_tasks.bridges import dingtalk_intake
from mindbot_tasks.core.errors import DatabaseUnavailable, PayloadInvalid
from mindbot_tasks.model.message import Message
from mindbot_tasks.model.news import Feedback, News
from mindbot_tasks.platforms.base import Acknowledgement, Capabilities, Inbound
from tests.bridges.holding import Held, Ledger, until

UPDATE = {"cardData": {"cardParamMap": {"feedback": "up"}}}


class Cards:
    """A platform that knows pressed buttons."""

    name: ClassVar[str] = "dingtalk"
    bot = "default"
    capabilities = Capabilities()

    def verify(self, inbound: Inbound) -> None:
        raise AssertionError("nobody signs what comes over a connection")

    def parse(self, inbound: Inbound) -> list[Message]:
        return []

    def news(self, inbound: Inbound) -> News:
        pressed = json.loads(inbound.body)
        if "outTrackId" not in pressed:
            raise PayloadInvalid("outTrackId is missing")
        return News(feedback=[Feedback(pressed["outTrackId"], pressed["userId"], "up")])

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        return Acknowledgement(json.dumps(UPDATE).encode(), "application/json")

    def render(self, answer: Any) -> Any:
        raise NotImplementedError

    def send(self, outgoing: Any, deadline: Any) -> str:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, a vote is stored before its answer."""
    monkeypatch.setattr(dingtalk_intake, "CARD_S", 60)


def press(gateway: Emulator, **data: Any) -> dict[str, Any]:
    gateway.control.call("POST", "/stream/card", {"data": data})
    (ack,) = gateway.control.wait_for(1, event="ack")
    return ack


def test_a_vote_is_stored_and_answered_with_what_the_card_shall_show(
    gateway: Emulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[Any] = []
    monkeypatch.setattr(intake, "news", lambda *told: stored.append(told))
    with Held(gateway, platform=Cards()) as held:
        held.online()
        ack = press(gateway, outTrackId="t1", userId="user01")
    assert json.loads(ack["data"]) == {"response": UPDATE}
    ((platform, bot, news),) = stored
    assert (platform, bot, news.feedback[0].answer_ref) == ("dingtalk", "default", "t1")


def test_the_answer_does_not_wait_for_a_slow_database(
    gateway: Emulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dingtalk_intake, "CARD_S", 0.2)
    stored: list[Any] = []
    release = threading.Event()

    def slow(*told: Any) -> None:
        assert release.wait(30)
        stored.append(told)

    monkeypatch.setattr(intake, "news", slow)
    with Held(gateway, platform=Cards()) as held:
        held.online()
        press(gateway, outTrackId="t1", userId="user01")
        assert stored == []
        release.set()
    assert len(stored) == 1


def test_a_press_that_cannot_be_read_is_answered_too(gateway: Emulator, ledger: Ledger) -> None:
    with Held(gateway, platform=Cards()) as held:
        held.online()
        assert json.loads(press(gateway, nonsense=1)["data"]) == {"response": {}}


def test_a_vote_waits_for_a_database_that_is_away_and_its_answer_does_not(
    gateway: Emulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dingtalk_intake, "CARD_S", 0.1)
    monkeypatch.setattr(dingtalk_intake, "RETRY_S", 0.2)
    trouble = [DatabaseUnavailable("away")] * 2
    stored: list[Any] = []

    def news(*told: Any) -> None:
        if trouble:
            raise trouble.pop()
        stored.append(told)

    monkeypatch.setattr(intake, "news", news)
    with Held(gateway, platform=Cards()) as held:
        held.online()
        assert press(gateway, outTrackId="t1", userId="user01")["code"] == 200
        until(lambda: stored, "vote in the ledger")


def test_the_real_platform_finds_the_vote_in_a_frame(
    gateway: Emulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[Any] = []
    monkeypatch.setattr(intake, "news", lambda *told: stored.append(told))
    content = json.dumps({"cardPrivateData": {"actionIds": ["any"], "params": {"feedback": "down"}}})
    with Held(gateway) as held:
        held.online()
        ack = press(gateway, outTrackId="mindbot.17." + "0" * 32, userId="user01", content=content)
    assert json.loads(ack["data"])["response"]["cardData"] == {"cardParamMap": {"feedback": "down"}}
    (vote,) = stored[0][2].feedback
    assert (vote.vote, vote.user_id, vote.message_id) == ("down", "user01", 17)
