"""WeCom as a webhook's caller, for tests in Python: it posts, and posts again when the answer does not come."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from emulators.calls import CallLog, Record
from emulators.wecom.callbacks import App, Callback, Kind, Post, build, verification

REPEATS = 3
TIMEOUT_S = 5.0


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
    answers: list[Answered]  #: one for each delivery

    @property
    def status(self) -> int:
        return self.answers[-1].status

    @property
    def acknowledged(self) -> bool:
        """WeCom has been told that the message is taken."""
        return any(answer.status == 200 for answer in self.answers)


class WeComSender:
    """Use one for each thread: it keeps a connection.

    With `log`, each post is two lines: `webhook` before it and `webhook_answer` after it, so that a reader knows of a
    post whose sender was killed in between.
    """

    def __init__(
        self, url: str, app: App, *, timeout_s: float = TIMEOUT_S, repeats: int = REPEATS, log: Path | None = None
    ) -> None:
        self._url = url
        self._app = app
        self._timeout_s = timeout_s
        self._repeats = repeats
        self._log = CallLog("wecom-sender", log)
        self._http = requests.Session()
        self._http.trust_env = False

    def send(self, text: str = "hello", *, kind: Kind = "text", **options: Any) -> Sent:
        """Post one callback; `options` are the fields of Callback. Raises TypeError for an unknown one."""
        return self.post(Callback(text=text, kind=kind, **options))

    def post(self, callback: Callback) -> Sent:
        """Post a callback until it is answered with 200, four times at most. Never raises for a dead webhook."""
        return self.repeat(build(callback, self._app), callback)

    def repeat(self, post: Post, callback: Callback) -> Sent:
        """Post what was built before."""
        answers: list[Answered] = []
        while len(answers) <= self._repeats and not any(answer.status == 200 for answer in answers):
            answers.append(self._once(post, callback))
        return Sent(post.msg_id, answers)

    def verify(self, echo: str = "1616140317555161061") -> Answered:
        """Check the address as the admin console does; the body must be `echo`, and nothing else."""
        return self._call("GET", f"{self._url}?{verification(self._app, echo)}")

    def close(self) -> None:
        self._http.close()
        self._log.close()

    def __enter__(self) -> WeComSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _once(self, post: Post, callback: Callback) -> Answered:
        self._log.noted("webhook", intent(post, callback))
        answered = self._call("POST", f"{self._url}?{post.query}", post.body)
        self._log.noted("webhook_answer", result(post, answered))
        return answered

    def _call(self, method: str, url: str, body: bytes | None = None) -> Answered:
        started = time.perf_counter()
        headers = {"Content-Type": "text/xml"} if body is not None else {}
        try:
            response = self._http.request(method, url, data=body, headers=headers, timeout=self._timeout_s)
            return Answered(response.status_code, response.text, _ms_since(started))
        except requests.RequestException as exc:
            return Answered(0, "", _ms_since(started), type(exc).__name__)


def intent(post: Post, callback: Callback) -> Record:
    """What the line of a webhook says before it is posted."""
    return {
        "msg_id": post.msg_id,
        "conversation": callback.user,
        "user": callback.user,
        "kind": callback.kind,
        "wrong": callback.wrong,
        "text": callback.text,
    }


def result(post: Post, answered: Answered) -> Record:
    """What the line says after it."""
    return {"msg_id": post.msg_id, "status": answered.status, "ms": answered.ms, "error": answered.error}


def as_json(sent: Sent) -> dict[str, Any]:
    return {**dataclasses.asdict(sent), "status": sent.status, "acknowledged": sent.acknowledged}


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
