"""The span of one run of a stage; each try of a message has its own, in the trace of the message."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

from mindbot_tasks.core.telemetry import process
from mindbot_tasks.core.telemetry.identity import Trace, trace_of
from mindbot_tasks.core.telemetry.spans import NO_SPAN, NOTHING, Attributes, Key, Root, Span, kind_of

Lifetime = tuple[int, int]
"""From when to when, in milliseconds since 1970."""
#: ends of a stage that are no failure
_WELL = frozenset({"done", "elsewhere", "drained"})


class Stage:
    """One run of a stage; it gets a span as soon as it has claimed a message."""

    __slots__ = ("_before", "_began_ns", "_name", "_root", "outcome")

    def __init__(self, name: str) -> None:
        self._name = name
        self._began_ns = time.time_ns()
        self._root: Span = NO_SPAN
        self._before: Token[Stage | None] | None = None
        self.outcome = ""

    def claimed(
        self, message: Key, address: Mapping[str, Any], attempt: int, attributes: Attributes, lost: Lifetime | None
    ) -> None:
        """It holds this message now."""
        recorder, wanted = process.recorder(), process.wanted()
        if recorder is None or wanted is None:
            return
        found = trace_of(wanted.settings, wanted.secret, message, address)
        if not found.sampled:
            return
        if lost is not None:
            self._tell_lost(recorder, found, attempt - 1, lost)
        begun = self._begin(recorder, found, self._name, attempt, attributes, self._began_ns)
        self._root = Root(recorder, begun, found.hex)
        self._root.__enter__()

    def _tell_lost(self, recorder: Any, found: Trace, attempt: int, lived: Lifetime) -> None:
        """In the stead of who cannot tell any more, so that what he had exported has a parent."""
        began_ms, ended_ms = lived
        name = f"{self._name} (worker lost)"
        lost = self._begin(recorder, found, name, attempt, NOTHING, began_ms * 1_000_000)
        recorder.fail(lost, "worker_lost")
        lost.end(ended_ms * 1_000_000)

    @staticmethod
    def _begin(recorder: Any, found: Trace, name: str, attempt: int, attributes: Attributes, began_ns: int) -> Any:
        return recorder.begin(
            name,
            "consumer",
            {"mindbot.attempt": attempt, **attributes},
            trace_id=found.trace_id,
            span_id=found.attempt_id(attempt),
            parent_id=found.root_id,
            began_ns=began_ns,
        )

    def __enter__(self) -> Stage:
        self._before = _stage.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            _stage.reset(self._before)
        root, self._root = self._root, NO_SPAN
        root.set({"mindbot.outcome": self.outcome})
        if self.outcome not in _WELL:
            # Retry names its cause, Ignore was raised while the cause was handled
            cause = getattr(exc, "exc", None) or (exc.__context__ if exc is not None else None)
            root.fail(kind_of(cause) if cause is not None else self.outcome)
        root.__exit__(None, None, None)


class _NoStage(Stage):
    __slots__ = ()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None: ...


_stage: ContextVar[Stage | None] = ContextVar("traced_stage", default=None)


def stage(name: str) -> Stage:
    """Around one run of a stage; its `outcome` is to be set before the end."""
    return Stage(name) if process.is_on() else _NoStage(name)


def claimed(
    message: Key, address: Mapping[str, Any], attempt: int, attributes: Attributes, *, lost: Lifetime | None = None
) -> None:
    """The running stage holds this message. lost: how long the attempt before it lived, which died with its worker."""
    running = _stage.get()
    if running is not None:
        running.claimed(message, address, attempt, attributes, lost)
