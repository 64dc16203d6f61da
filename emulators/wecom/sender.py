"""WeCom as a webhook's caller, for tests in Python: it posts, and posts again when the answer does not come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulators.calls import Record
from emulators.senders import Answered, Sender, Sent
from emulators.wecom.callbacks import App, Callback, Kind, Post, build, verification

REPEATS = 3
TIMEOUT_S = 5.0


class WeComSender(Sender):
    """WeCom as a webhook's caller."""

    def __init__(
        self, url: str, app: App, *, timeout_s: float = TIMEOUT_S, repeats: int = REPEATS, log: Path | None = None
    ) -> None:
        super().__init__("wecom-sender", timeout_s=timeout_s, log=log)
        self._url = url
        self._app = app
        self._repeats = repeats

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
            url, headers = f"{self._url}?{post.query}", {"Content-Type": "text/xml"}
            answers.append(self._post(url, post.body, headers, intent(post, callback)))
        return Sent(post.msg_id, answers)

    def verify(self, echo: str = "1616140317555161061") -> Answered:
        """Check the address as the admin console does; the body must be `echo`, and nothing else."""
        return self._call("GET", f"{self._url}?{verification(self._app, echo)}")


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
