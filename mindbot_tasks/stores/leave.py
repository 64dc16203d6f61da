"""What may limit the calls of an answerer, and the leave that somebody gets who asks before a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mindbot_tasks.stores.limiter import Rate

Reason = Literal["", "breaker", "pause", "limit", "tokens", "busy", "retries"]
Outcome = Literal["ok", "bad", "none"]
"""How a call ended; `none` says nothing about the far side: it was stopped, or refused for good reason."""

# the breaker
SLOT_US = 5_000_000
SLOTS = 6
MIN_CALLS = 10
RATIO = 0.5
OPEN_US = 15_000_000
OPEN_MAX_US = 120_000_000
PROBE_US = 130_000_000  # longer than an answer may take; a probe that never reports frees its place then
FORGET_MS = 600_000

# the retry budget: of the first tries of the last minute so many may be tried again, and a few in each slot anyway;
# it is for a far side in trouble, so those that have waited are let in when it answers nearly everything
TRIES_SLOT_US = 10_000_000
TRIES_SLOTS = 6
RETRY_RATIO = 0.2
RETRY_FLOOR = 3
RETRY_WELL = 0.9
#: for so long the same message at the same answerer is a retry
MARK_MS = 900_000

#: whoever finds all places taken asks again after so long
BUSY_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many requests or tokens in a while, of one answerer or of one of its models."""

    name: str
    rate: Rate
    counts: Literal["limit", "tokens"] = "limit"  #: and the reason of a refusal


@dataclass(frozen=True, slots=True)
class Limits:
    """What one way to answer may use, in the whole fleet."""

    buckets: tuple[Bucket, ...] = ()
    at_once: int = 0  #: calls at the same time; 0: as many as there are

    @property
    def counts_tokens(self) -> bool:
        return any(bucket.counts == "tokens" for bucket in self.buckets)


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Leave:
    """May the call be made? `reason` "" means yes."""

    reason: Reason = ""
    wait_s: float = 0.0
    probe: bool = False  #: this call decides whether the breaker closes: report how it ended
    again: bool = False  #: it is a retry, and one that the budget allows
    lease: str = ""  #: the place it takes among the calls at the same time
    tokens: int = 0  #: so many were taken, on a guess
    limits: Limits = NO_LIMITS
