"""How a message comes in: the root of its trace, made when it is recorded, with the time at which it came."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any

from mindbot_tasks.core.telemetry import process
from mindbot_tasks.core.telemetry.identity import CARRIED, header_of, parent_of, trace_of
from mindbot_tasks.core.telemetry.spans import NO_SPAN, NOTHING, Attributes, Key, Kind, Root, Span


@dataclass(slots=True)
class Arrival:
    """How messages come in, and when."""

    name: str
    kind: Kind = "server"
    attributes: Attributes = field(default_factory=dict)
    traceparent: str = ""  #: of the caller, "" if it gave none that can be used
    began_ns: int = field(default_factory=time.time_ns)
    recording_ns: int = 0
    recorded_ns: int = 0
    _token: Token[Arrival | None] | None = None

    def carried(self, address: Mapping[str, Any]) -> Mapping[str, Any]:
        """The address with the caller's trace, where every stage finds it."""
        wanted = process.wanted()
        if not self.traceparent or wanted is None or wanted.settings.incoming != "parent":
            return address
        return {**address, CARRIED: self.traceparent}

    def __enter__(self) -> Arrival:
        self._token = _arrival.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _arrival.reset(self._token)


_arrival: ContextVar[Arrival | None] = ContextVar("arrival", default=None)


def arriving(
    name: str,
    kind: Kind = "server",
    attributes: Attributes = NOTHING,
    *,
    traceparent: str | None = None,
    waited_s: float = 0.0,
) -> Arrival | Span:
    """Around whatever takes messages in from outside; so long they have waited for it."""
    if not process.is_on():
        return NO_SPAN
    parent = parent_of(traceparent)
    began_ns = time.time_ns() - int(waited_s * 1e9)
    return Arrival(name, kind, attributes, header_of(parent) if parent is not None else "", began_ns)


def arrival(name: str = "receive") -> Arrival | None:
    """How what is recorded now came in; None when nothing is traced."""
    return (_arrival.get() or Arrival(name, "internal")) if process.is_on() else None


def received(
    seen: Arrival | None, message: Key, address: Mapping[str, Any], attributes: Attributes, *, fresh: bool = True
) -> Span:
    """The root of a message's trace with what was done until now; as a context around what starts its stages.

    fresh: False for a duplicate, which is one more span below the root of the first.
    """
    recorder, wanted = process.recorder(), process.wanted()
    if seen is None or recorder is None or wanted is None:
        return NO_SPAN
    found = trace_of(wanted.settings, wanted.secret, message, address)
    if not found.sampled:
        return NO_SPAN
    above = found.parent.span_id if found.parent is not None else 0
    linked = parent_of(seen.traceparent) if wanted.settings.incoming == "link" else None
    root = recorder.begin(
        seen.name,
        seen.kind,
        {**seen.attributes, **attributes},
        trace_id=found.trace_id,
        span_id=found.root_id if fresh else 0,
        parent_id=above if fresh else found.root_id,
        link=(linked.trace_id, linked.span_id) if linked is not None and linked.sampled else None,
        began_ns=seen.began_ns,
    )
    if seen.recorded_ns:
        recorder.begin(
            "record",
            "internal",
            NOTHING,
            trace_id=found.trace_id,
            parent_id=root.get_span_context().span_id,
            began_ns=seen.recording_ns,
        ).end(seen.recorded_ns)
    return Root(recorder, root, found.hex)
