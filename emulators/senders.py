"""What the callers of webhooks share: how a webhook answered, what was sent, and a log of what was meant to be said."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests

from emulators.calls import CallLog, Record


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
    answers: list[Answered]  #: one for each copy or delivery

    @property
    def status(self) -> int:
        return self.answers[-1].status

    @property
    def acknowledged(self) -> bool:
        """The platform has been told that the message is taken."""
        return any(answer.status == 200 for answer in self.answers)


class Sender:
    """Use one for each thread: it keeps a connection.

    With `log`, each post is two lines: `webhook` before it and `webhook_answer` after it, so that a reader knows of a
    post whose sender was killed in between.
    """

    def __init__(self, name: str, *, timeout_s: float, log: Path | None = None) -> None:
        self._timeout_s = timeout_s
        self._log = CallLog(name, log)
        self._http = requests.Session()
        self._http.trust_env = False

    def close(self) -> None:
        self._http.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _post(self, url: str, body: bytes, headers: Mapping[str, str], intent: Record) -> Answered:
        """One post and its two lines; `intent` is what the first says."""
        self._log.noted("webhook", intent)
        answered = self._call("POST", url, body, headers)
        self._log.noted("webhook_answer", result(str(intent["msg_id"]), answered))
        return answered

    def _call(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        started = time.perf_counter()
        try:
            response = self._http.request(method, url, data=body, headers=headers, timeout=self._timeout_s)
            return Answered(response.status_code, response.text, ms_since(started))
        except requests.RequestException as exc:
            return Answered(0, "", ms_since(started), type(exc).__name__)


def result(msg_id: str, answered: Answered) -> Record:
    """What the line after a post says."""
    return {"msg_id": msg_id, "status": answered.status, "ms": answered.ms, "error": answered.error}


def as_json(sent: Sent) -> dict[str, Any]:
    return {**dataclasses.asdict(sent), "status": sent.status, "acknowledged": sent.acknowledged}


def ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
