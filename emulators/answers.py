"""A call as an emulator sees it, and what it wants to answer; pure data, no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from emulators.faults import AnyRule


@dataclass(slots=True, frozen=True)
class Call:
    """One request, read completely; `json` is None when the body is not a JSON object."""

    method: str
    path: str
    params: Mapping[str, str]  #: the variable parts of the path
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    json: dict[str, Any] | None
    fault: AnyRule | None

    @property
    def bearer(self) -> str:
        """The token of `Authorization: Bearer ...`, or ""."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


@dataclass(slots=True)
class Answer:
    """One body, sent at once after `delay_s`."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    accepted: bool = True  #: the call had its effect
    facts: dict[str, Any] = field(default_factory=dict)  #: what the log line says about it
    delay_s: float = 0
    on_end: Callable[[], None] | None = None  #: called when the answer is over, however it ended


@dataclass(slots=True)
class Stream(Answer):
    """Server-sent events: `events` at `per_s`, then `tail`. Each event ends with its blank line."""

    content_type: str = "text/event-stream"
    events: Sequence[bytes] = ()
    tail: Sequence[bytes] = ()
    pieces: bool = False  #: send each event by itself, even when all are due
    per_s: float = 0  #: 0: all at once
    ping: bytes = b": ping\n\n"
    nothing: bytes = b":\n"  #: what no parser minds, so that the headers can be sent
    odd: bytes = b'event: surprise\ndata: {"event":"surprise","object":"surprise","choices":[]}\n\n'
    ping_every_s: float | None = None  #: None: this vendor sends no keep-alive lines
    stopped: Callable[[], bool] = bool  #: True: skip the other events and send the tail
    error: Callable[[int, str, str], bytes] | None = None  #: (status, code, message) -> the vendor's error event


Perform = Callable[[Call], Answer]


def json_answer(body: object, status: int = 200, **fields: Any) -> Answer:
    return Answer(status=status, body=orjson.dumps(body), **fields)


def refused(body: object, status: int, **fields: Any) -> Answer:
    """An answer to a call that had no effect."""
    return json_answer(body, status, accepted=False, **fields)


def sse(data: object) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"
