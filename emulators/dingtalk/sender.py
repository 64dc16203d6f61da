"""DingTalkSender: posts robot callbacks to a webhook from any process, and keeps a log of what it meant to say."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from emulators.calls import CallLog, Record
from emulators.dingtalk.callbacks import Callback, Kind, Post, build


@dataclass(slots=True, frozen=True)
class Answered:
    """How the webhook answered one post; `status` 0: it did not."""

    status: int
    body: str
    ms: float
    error: str = ""


@dataclass(slots=True, frozen=True)
class Sent:
    msg_id: str
    conversation: str
    session: str
    answers: list[Answered]  #: one for each copy

    @property
    def status(self) -> int:
        return self.answers[-1].status

    @property
    def acknowledged(self) -> bool:
        """DingTalk has been told that the message is taken."""
        return any(answer.status == 200 for answer in self.answers)


class DingTalkSender:
    """DingTalk as a webhook's caller. Use one for each thread: it keeps a connection.

    With `log`, each post is two lines: `webhook` before it and `webhook_answer` after it, so that a reader knows of a
    post whose sender was killed in between.
    """

    def __init__(
        self, url: str, app_secret: str, *, emulator_url: str, timeout_s: float = 5, log: Path | None = None
    ) -> None:
        self._url = url
        self._secret = app_secret
        self._emulator_url = emulator_url
        self._timeout_s = timeout_s
        self._log = CallLog("dingtalk-sender", log)
        self._http = requests.Session()
        self._http.trust_env = False

    def send(self, text: str = "hello", *, kind: Kind = "text", **options: Any) -> Sent:
        """Post one callback; `options` are the fields of Callback. Raises TypeError for an unknown one."""
        return self.post(Callback(text=text, kind=kind, **options))

    def post(self, callback: Callback) -> Sent:
        """Post a callback as often as its kind says. Does not raise when the webhook cannot be reached."""
        return self.repeat(build(callback, secret=self._secret, emulator_url=self._emulator_url), callback)

    def repeat(self, post: Post, callback: Callback) -> Sent:
        """Post what was built before: a replay, or a redelivery."""
        answers = [self._once(post, callback) for _ in range(post.copies)]
        return Sent(post.msg_id, post.conversation, post.session, answers)

    def close(self) -> None:
        self._http.close()
        self._log.close()

    def __enter__(self) -> DingTalkSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _once(self, post: Post, callback: Callback) -> Answered:
        facts = intent(post, callback)
        self._log.noted("webhook", facts)
        started = time.perf_counter()
        try:
            response = self._http.post(self._url, data=post.body, headers=post.headers, timeout=self._timeout_s)
            answered = Answered(response.status_code, response.text, _ms_since(started))
        except requests.RequestException as exc:
            answered = Answered(0, "", _ms_since(started), type(exc).__name__)
        self._log.noted("webhook_answer", result(post, answered))
        return answered


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


def result(post: Post, answered: Answered) -> Record:
    """What the line says after it."""
    return {"msg_id": post.msg_id, "status": answered.status, "ms": answered.ms, "error": answered.error}


def as_json(sent: Sent) -> dict[str, Any]:
    return {**dataclasses.asdict(sent), "status": sent.status, "acknowledged": sent.acknowledged}


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
