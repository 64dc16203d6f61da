"""What an emulator can be told to do wrong, and which call it happens to."""

from __future__ import annotations

import fnmatch
import random
import re
import time
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Rule(BaseModel):
    """Which calls a fault happens to. By default: to the next call of any path, once."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    performs: ClassVar[bool] = True  #: the call has its effect all the same

    path: str = "*"  #: with * and ?, as in file names
    method: str = "*"
    contains: str = ""  #: only calls whose body holds this text
    skip: int = Field(default=0, ge=0)  #: leave so many matching calls alone first
    times: int | None = Field(default=None, ge=1)  #: None: once, or without end with `always`, `probability` or `for_s`
    always: bool = False
    probability: float | None = Field(default=None, ge=0, le=1)
    seed: int = 0
    for_s: float | None = Field(default=None, gt=0)  #: heals by itself after so many seconds
    delay_ms: float = Field(default=0, ge=0)  #: waits before the first byte, whatever the action

    @property
    def limit(self) -> int | None:
        endless = self.always or self.probability is not None or self.for_s is not None
        return self.times if self.times is not None else (None if endless else 1)


class Delay(Rule):
    """Answers rightly, but only after `delay_ms`."""

    action: Literal["delay"]


class Status(Rule):
    """Answers with this status instead of doing anything."""

    performs = False
    action: Literal["status"]
    status: int = Field(default=500, ge=200, le=599)
    body: Any = None  #: text as it is, anything else as JSON
    headers: dict[str, str] = {}
    content_type: str = ""  #: "": JSON, or plain text for a text


class Throttle(Rule):
    """429, with Retry-After unless `retry_after` is null."""

    performs = False
    action: Literal["throttle"]
    retry_after: float | str | None = 1
    body: Any = None


class Html(Rule):
    """A gateway's error page, also with status 200."""

    performs = False
    action: Literal["html"]
    status: int = Field(default=502, ge=200, le=599)
    body: str = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Drop(Rule):
    """The connection dies, and the call never had its effect."""

    performs = False
    action: Literal["drop"]
    reset: bool = False


class AcceptThenCut(Rule):
    """The call has its effect and is logged as accepted; then the connection dies without an answer."""

    action: Literal["accept_then_cut"]
    reset: bool = False  #: RST instead of an orderly close


class Cut(Rule):
    """The answer ends in the middle."""

    action: Literal["cut"]
    after_bytes: int | None = Field(default=None, ge=0)
    after_events: int | None = Field(default=None, ge=0)  #: streams only; a plain answer counts as one event
    clean: bool = False  #: a well-formed end of the HTTP answer, only too early
    reset: bool = False


class Drip(Rule):
    """The answer comes in tiny pieces."""

    action: Literal["drip"]
    bytes_per_s: float = Field(default=1, gt=0)


class Silence(Rule):
    """Takes the call and says nothing for `seconds`, then closes; with `ping`, sends keep-alive lines only."""

    action: Literal["silence"]
    seconds: float = Field(default=3600, gt=0)
    headers: bool = False  #: the status line and headers do come
    ping: bool = False
    ping_every_s: float = Field(default=10, gt=0)


class Malformed(Rule):
    """The answer comes, but cannot be read as it should be."""

    action: Literal["malformed"]
    what: Literal["json", "cut_event", "huge", "content_type", "html", "after_end", "unknown_event", "empty"] = "json"
    huge_bytes: int = Field(default=8_000_000, ge=1)


class SplitUtf8(Rule):
    """Every piece of a stream ends inside a character, wherever there is one of several bytes."""

    action: Literal["split_utf8"]


class Crlf(Rule):
    """Lines of a stream end with CR LF."""

    action: Literal["crlf"]


class Say(Rule):
    """A model answers with this text: an empty one, a refusal, or two megabytes by `repeat`."""

    action: Literal["answer"]
    text: str = ""
    repeat: int = Field(default=1, ge=1)


class ErrorEvent(Rule):
    """A stream answers 200, sends `after_events` events, then the vendor's error event, and ends."""

    action: Literal["error_event"]
    after_events: int = Field(default=1, ge=0)
    status: int = 400
    code: str = "completion_request_error"
    message: str = "the model behind this app failed"


class Replace(Rule):
    """Dify only: after the text, a message_replace event takes all of it back for `text` (moderation)."""

    action: Literal["message_replace"]
    text: str = "This answer was replaced."


AnyRule = Annotated[
    Delay | Status | Throttle | Html | Drop | AcceptThenCut | Cut | Drip | Silence | Malformed | SplitUtf8 | Crlf
    | Say | ErrorEvent | Replace,
    Field(discriminator="action"),
]  # fmt: skip
_RULES: TypeAdapter[list[AnyRule]] = TypeAdapter(list[AnyRule])


def parse_rules(rules: object) -> list[AnyRule]:
    """The rules in JSON data, one or a list. Raises pydantic.ValidationError, whose text names the wrong key."""
    return _RULES.validate_python(rules if isinstance(rules, list) else [rules])


class Armed:
    """A rule with the memory of what it has done."""

    def __init__(self, rule: AnyRule) -> None:
        self.rule = rule
        self.seen = 0
        self.hits = 0
        self._path = re.compile(fnmatch.translate(rule.path))
        self._contains = rule.contains.encode()
        self._random = random.Random(rule.seed)
        self._until = None if rule.for_s is None else time.monotonic() + rule.for_s

    def strikes(self, method: str, path: str, body: bytes) -> bool:
        rule = self.rule
        if rule.limit is not None and self.hits >= rule.limit:
            return False
        if self._until is not None and time.monotonic() > self._until:
            return False
        if rule.method not in ("*", method) or not self._path.match(path) or self._contains not in body:
            return False
        self.seen += 1
        if self.seen <= rule.skip:
            return False
        if rule.probability is not None and self._random.random() >= rule.probability:
            return False
        self.hits += 1
        return True


class Faults:
    """The armed rules; the first that matches a call decides what happens to it."""

    def __init__(self, rules: Iterable[AnyRule] = ()) -> None:
        self._armed = [Armed(rule) for rule in rules]

    def add(self, rules: Sequence[AnyRule]) -> None:
        self._armed.extend(Armed(rule) for rule in rules)

    def clear(self) -> None:
        self._armed.clear()

    def strike(self, method: str, path: str, body: bytes) -> AnyRule | None:
        for armed in self._armed:
            if armed.strikes(method, path, body):
                return armed.rule
        return None

    def describe(self) -> list[dict[str, Any]]:
        return [
            {**armed.rule.model_dump(exclude_defaults=True, mode="json"), "seen": armed.seen, "hits": armed.hits}
            for armed in self._armed
        ]
