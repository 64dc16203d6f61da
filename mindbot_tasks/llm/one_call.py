"""One streamed call to a model server: ask, let the answer grow, and say what came of it; for every wire format."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import orjson

from mindbot_tasks.core import sse
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, RetryableError, Throttled, Unavailable
from mindbot_tasks.core.http import Http, Patience, Response, Stream, get_http
from mindbot_tasks.llm.base import OnText
from mindbot_tasks.llm.visible import Visible
from mindbot_tasks.model.answer import Answer, Usage

MAX_ANSWER_BYTES = 8_000_000
#: what reading a body of an unexpected shape raises
UNREADABLE = (orjson.JSONDecodeError, AttributeError, TypeError, ValueError, KeyError, IndexError)


def merged(body: dict[str, Any], extra: Mapping[str, Any] | None) -> dict[str, Any]:
    """The body with what the configuration adds; mappings of the same name become one."""
    for key, value in (extra or {}).items():
        own = body.get(key)
        body[key] = {**own, **value} if isinstance(own, dict) and isinstance(value, Mapping) else value
    return body


RaisedFor = tuple[type[Rejected | RetryableError], str]


class Heard(ABC):
    """What has come of one call so far; a subclass knows the vendor's events."""

    #: reasons to finish that mean "I must not say that"
    refusals: ClassVar[frozenset[str]] = frozenset()
    #: the reason to finish that needs no mention
    usual: ClassVar[frozenset[str]] = frozenset({"", "stop"})

    def __init__(self, visible: Visible, provider: str) -> None:
        self.visible = visible
        self.provider = provider
        self.model = ""
        self.finish = ""
        self.usage = Usage()
        self.session_id = ""

    @abstractmethod
    def take(self, event: sse.Event) -> bool:
        """One event; True when it was the last. Raises what an error event means, or one of `UNREADABLE`."""

    @abstractmethod
    def take_whole(self, body: Any) -> None:
        """The answer of a server that does not stream."""

    def ended_well(self) -> bool:
        """Whether a stream without its last event is whole all the same."""
        return bool(self.finish)

    def events(self, stream: Stream) -> Iterator[sse.Event]:
        """What comes, in pieces that `take` understands."""
        return stream.events()

    def _in_one_piece(self, stream: Stream) -> bool:
        return "json" in (stream.headers.get("Content-Type") or "")  # some servers always do

    def hear(self, stream: Stream, *, whole: bool = False) -> None:
        """Read to the end. Raises Unavailable when it breaks off or cannot be read."""
        try:
            if whole or self._in_one_piece(stream):
                self.take_whole(stream.whole().json())
                return
            for event in self.events(stream):
                if self.take(event):
                    return
        except UNREADABLE as exc:
            raise Unavailable(
                "the answer cannot be read", kind="protocol", provider=self.provider, status=stream.status
            ) from exc
        if not self.ended_well():
            raise Unavailable(
                "the answer broke off", kind="connection", code="cut", provider=self.provider, status=stream.status
            )


@dataclass(frozen=True, slots=True)
class Ask:
    """What to send where."""

    provider: str  #: name of the answerer
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    model: str
    patience: Patience | None = None
    http: Http | None = None
    streams: bool = True


def call(
    ask: Ask,
    heard: Callable[[Visible, str], Heard],
    raise_error: Callable[[Response], NoReturn],
    deadline: Deadline,
    on_text: OnText,
) -> tuple[Answer, Heard]:
    """Send, and read to the end. Raises Rejected, Throttled, Unavailable or a Stopped."""
    started = time.monotonic()
    said = heard(Visible(on_text, started), ask.provider)
    with (ask.http or get_http()).stream(
        "POST",
        ask.url,
        deadline=deadline,
        provider=ask.provider,
        headers={"Accept": "text/event-stream", **ask.headers} if ask.streams else ask.headers,
        json=ask.body,
        patience=ask.patience,
        max_bytes=MAX_ANSWER_BYTES,
    ) as stream:
        if stream.status != 200:
            raise_error(stream.whole())
        said.hear(stream, whole=not ask.streams)
    text = said.visible.end()
    if not text.strip():
        raise (Rejected if said.finish in said.refusals else Unavailable)(
            "the answer is empty", kind="content", provider=ask.provider, code=said.finish or None
        )
    details: dict[str, Any] = {} if said.finish in said.usual else {"finish": said.finish}
    answer = Answer(
        text=text,
        provider=ask.provider.partition(":")[2] or ask.provider,
        model=said.model or ask.model,
        usage=said.usage,
        latency_ms=int((time.monotonic() - started) * 1000),
        first_token_ms=said.visible.first_ms,
        details=details,
    )
    return answer, said


def raise_problem(
    known: Mapping[str, RaisedFor], code: str, *, status: int, provider: str, wait_s: float | None = None
) -> NoReturn:
    """Raise what a vendor's code means, else what the status does; the vendor's words stay out: they may repeat the
    question."""
    raised, kind = known.get(code) or _by_status(status)
    raise raised(
        f"the model server refused ({status})",
        kind=kind,
        provider=provider,
        status=status,
        code=code[:64] or None,
        retry_after_s=wait_s if raised is not Rejected else None,
    )


def _by_status(status: int) -> RaisedFor:
    if status == 429:
        return Throttled, "rate_limit"
    if status in (200, 408, 409, 425) or status >= 500:  # 200: an error in mid-stream
        return Unavailable, "server"
    return Rejected, {401: "auth", 402: "quota", 403: "auth", 404: "not_found"}.get(status, "invalid_request")
