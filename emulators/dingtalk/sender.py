"""DingTalkSender: posts robot callbacks to a webhook from any process, and keeps a log of what it meant to say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulators import senders
from emulators.calls import Record
from emulators.dingtalk.callbacks import Callback, Kind, Post, build


@dataclass(slots=True, frozen=True)
class Sent(senders.Sent):
    conversation: str
    session: str


class DingTalkSender(senders.Sender):
    """DingTalk as a webhook's caller."""

    def __init__(
        self, url: str, app_secret: str, *, emulator_url: str, timeout_s: float = 5, log: Path | None = None
    ) -> None:
        super().__init__("dingtalk-sender", timeout_s=timeout_s, log=log)
        self._url = url
        self._secret = app_secret
        self._emulator_url = emulator_url

    def send(self, text: str = "hello", *, kind: Kind = "text", **options: Any) -> Sent:
        """Post one callback; `options` are the fields of Callback. Raises TypeError for an unknown one."""
        return self.post(Callback(text=text, kind=kind, **options))

    def post(self, callback: Callback) -> Sent:
        """Post a callback as often as its kind says. Does not raise when the webhook cannot be reached."""
        return self.repeat(build(callback, secret=self._secret, emulator_url=self._emulator_url), callback)

    def repeat(self, post: Post, callback: Callback) -> Sent:
        """Post what was built before: a replay, or a redelivery."""
        answers = [self._post(self._url, post.body, post.headers, intent(post, callback)) for _ in range(post.copies)]
        return Sent(post.msg_id, answers, post.conversation, post.session)


def intent(post: Post, callback: Callback) -> Record:
    """What the line of a webhook says before it is posted."""
    return {
        "msg_id": post.msg_id,
        "conversation": post.conversation,
        "session": post.session,
        "user": callback.user,
        "kind": callback.kind,
        "group": callback.group,
        "text": callback.text,
    }
