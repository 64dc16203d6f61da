"""Which trace a message belongs to, and whether it is recorded: computed from what is in its row, stored nowhere.

Every process that holds a message comes to the same ids and the same decision, however often its worker has died and
whatever has become of the broker. Only a caller's own trace has to be remembered: it travels in the message's address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from mindbot_tasks.core.settings.telemetry import TelemetrySettings

#: the key in a message's address under which the caller's trace is kept
CARRIED: Final = "traceparent"
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_BOUND: Final = 2**64


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of a caller, as its `traceparent` header names it."""

    trace_id: int
    span_id: int
    sampled: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of one message."""

    trace_id: int
    root_id: int  #: of the span with which the message came in
    parent: Parent | None  #: what the root hangs below
    sampled: bool
    seed: bytes

    @property
    def hex(self) -> str:
        """The id as everybody writes it."""
        return f"{self.trace_id:032x}"

    def attempt_id(self, attempt: int) -> int:
        """The span of one attempt, known to others even when the worker that made it has died."""
        return _number(blake2b(b"attempt %d" % attempt, digest_size=8, key=self.seed).digest())


def parent_of(header: object) -> Parent | None:
    """W3C Trace Context; None for everything else. Later versions are read like version 0, as the standard asks."""
    match = _TRACEPARENT.fullmatch(header.strip().lower()) if isinstance(header, str) and len(header) < 512 else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Parent(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & 1))


def header_of(parent: Parent) -> str:
    """The opposite of `parent_of`."""
    return f"00-{parent.trace_id:032x}-{parent.span_id:016x}-{'01' if parent.sampled else '00'}"


def trace_of(
    settings: TelemetrySettings, secret: str, message: tuple[str, str, str], address: Mapping[str, Any]
) -> Trace:
    """The trace of a message: (platform, bot, the platform's id), unique in the ledger, and where its answer goes.

    secret: that of the installation, so that two of them with one collector cannot meet in one trace.
    """
    key = blake2b(secret.encode(), digest_size=32).digest()
    seed = blake2b("\0".join(message).encode("utf-8", "replace"), digest_size=32, key=key).digest()
    parent = parent_of(address.get(CARRIED)) if settings.incoming == "parent" else None
    trace_id = parent.trace_id if parent is not None else _number(seed[:16])
    return Trace(trace_id, _number(seed[16:24]), parent, _sampled(settings, trace_id, parent), seed)


def _number(digest: bytes) -> int:
    return int.from_bytes(digest, "big") or 1


def _sampled(settings: TelemetrySettings, trace_id: int, parent: Parent | None) -> bool:
    """As OpenTelemetry's samplers of the same names decide."""
    kind = settings.sampler
    if kind.startswith("parentbased_"):
        if parent is not None:
            return parent.sampled
        kind = kind.removeprefix("parentbased_")  # type: ignore[assignment]
    if kind == "traceidratio":
        return trace_id % _BOUND < round(settings.sample_ratio * _BOUND)
    return kind == "always_on"
