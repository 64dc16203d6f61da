"""Spans of whatever this thread does for a message; where nothing is traced, one that does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal

import structlog

from mindbot_tasks.core.errors import FarSideError, Stopped
from mindbot_tasks.core.telemetry import process

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool]
Key = tuple[str, str, str]
"""(platform, bot, the platform's id) of a message."""

NOTHING: Attributes = {}


class Span:
    """One piece of work; as a context, what is done meanwhile hangs below it."""

    __slots__ = ("_recorder", "_span", "_token")

    def __init__(self, recorder: Any, span: Any) -> None:
        self._recorder = recorder
        self._span = span
        self._token: object = None

    def set(self, attributes: Attributes) -> None:
        """Say more about it."""
        self._span.set_attributes(attributes)

    def fail(self, what: str) -> None:
        """It has failed, by a word of ours."""
        self._recorder.fail(self._span, what)

    def __enter__(self) -> Span:
        self._token = self._recorder.enter(self._span)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recorder.leave(self._token)
        if isinstance(exc, Stopped):
            self.set({"mindbot.stopped": type(exc).__name__})
        elif exc is not None:
            self.fail(kind_of(exc))
        self._span.end()


class Root(Span):
    """The outermost span of a message in this process: log lines meanwhile name the trace."""

    __slots__ = ("_logged", "_trace_id")

    def __init__(self, recorder: Any, span: Any, trace_id: str) -> None:
        super().__init__(recorder, span)
        self._trace_id = trace_id
        self._logged: Mapping[str, Any] = {}

    def __enter__(self) -> Span:
        self._logged = structlog.contextvars.bind_contextvars(trace_id=self._trace_id)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, exc, trace)
        structlog.contextvars.reset_contextvars(**self._logged)


class _NoSpan(Span):
    """Where nothing is traced."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None, None)

    def set(self, attributes: Attributes) -> None: ...

    def fail(self, what: str) -> None: ...

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None: ...


NO_SPAN = _NoSpan()


def kind_of(exc: BaseException) -> str:
    """What an error is, without its words, which may quote people."""
    return f"{type(exc).__name__}:{exc.kind}" if isinstance(exc, FarSideError) else type(exc).__name__


def span(name: str, kind: Kind = "internal", attributes: Attributes = NOTHING) -> Span:
    """A part of whatever this thread is doing for a message; nothing, when that is not traced."""
    recorder = process.recorder()
    if recorder is None or not recorder.recording():
        return NO_SPAN
    return Span(recorder, recorder.begin(name, kind, attributes))
