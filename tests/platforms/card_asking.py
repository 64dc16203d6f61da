"""A question that DingTalk's robot is asked, and the ways to answer it on a card; for tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.http import Http
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.model.message import Outgoing, Part
from mindbot_tasks.platforms.base import LiveAnswer, LiveTarget
from mindbot_tasks.platforms.dingtalk import DingTalk
from mindbot_tasks.platforms.dingtalk.client import Client
from tests.platforms.test_dingtalk import NOW_MS, SECRET, PlainTokens, call

_ids = itertools.count(100)


def robot(url: str, *, take: Callable[[str, str], float] | None = None, **values: Any) -> DingTalk:
    settings = DingTalkSettings(
        client_id="dingapp0001",
        client_secret=SecretStr(SECRET),
        api_base=url,
        oapi_base=url,
        **{"enable_stream_reply": True, "card_template_id": "own.schema", "card_update_s": 0.05, **values},
    )
    return DingTalk("default", settings, Client(settings, Http(), PlainTokens(), take), clock_ms=lambda: NOW_MS)


class Asked:
    """One question, and the bot's ways to answer it."""

    def __init__(self, dingtalk: Emulator, **settings: Any) -> None:
        self.dingtalk = dingtalk
        take = settings.pop("take", None)
        changes = settings.pop("changes", {})
        self.bot = robot(dingtalk.url, take=take, **settings)
        session = f"{dingtalk.url}/robot/sendBySession?session=s1"
        self.message = self.bot.parse(call(**{"sessionWebhook": session, **changes}))[0]
        self.id = next(_ids)

    def ask_again(self) -> None:
        """The same under another id."""
        self.id = next(_ids)

    def begin(self, deadline: Deadline | None = None) -> LiveAnswer:
        target = LiveTarget(self.id, f"{self.id}-1", "c", "one_to_one", "user01", self.message.address)
        live = self.bot.begin_live(target, deadline or Deadline(60))
        assert live is not None
        return live

    def send(self, text: str = "the whole answer", **changes: Any) -> str:
        return self.bot.send(self.outgoing(text, **changes), Deadline(60))

    def outgoing(self, text: str, **changes: Any) -> Outgoing:
        fields: dict[str, Any] = {"number": 0, "total": 1, "answer_key": f"{self.id}-1", **changes}
        return Outgoing(
            message_id=self.id,
            platform="dingtalk",
            bot="default",
            conversation_id=self.message.conversation_id,
            conversation_kind=self.message.conversation_kind,
            sender_id="user01",
            address=self.message.address,
            part=Part("markdown", text, {"title": "t"}),
            key=f"k-{self.id}",
            **fields,
        )

    def cards(self) -> dict[str, Any]:
        found: dict[str, Any] = self.dingtalk.control.call("GET", "/cards")
        return found

    def calls(self, path: str, **which: Any) -> list[dict[str, Any]]:
        return self.dingtalk.control.calls(path=path, **which)

    def card(self) -> Any:
        (card,) = self.cards().values()
        return card


def grow(
    live: LiveAnswer,
    words: int = 60,
    pause_s: float = 0.005,
    *,
    so_far: str = "",
    until: Callable[[], object] | None = None,
) -> str:
    """A model that speaks; returns all it said. It does not stop before `until` is true."""
    text = so_far
    ends_at = time.monotonic() + 60
    for number in itertools.count():
        if number >= words and (until is None or until()):
            return text
        assert time.monotonic() < ends_at, "what the answer was to grow for did not happen"
        text += f"word{number} "
        live(text)
        time.sleep(pause_s)
    raise AssertionError("numbers have no end")
