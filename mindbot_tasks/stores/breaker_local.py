"""The same rules as in Redis, in the memory of one process: what remains when Redis is down."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from mindbot_tasks.stores.leave import (
    BUSY_US,
    MARK_MS,
    MIN_CALLS,
    OPEN_MAX_US,
    OPEN_US,
    PROBE_US,
    RATIO,
    RETRY_FLOOR,
    RETRY_RATIO,
    RETRY_WELL,
    SLOT_US,
    SLOTS,
    TRIES_SLOT_US,
    TRIES_SLOTS,
    Leave,
    Limits,
    Outcome,
)

_MOST_MARKS = 10_000


@dataclass(slots=True)
class _State:
    counts: dict[tuple[str, int], int] = field(default_factory=dict)
    open_until: float = 0
    probe_until: float = 0
    trips: int = 0


class LocalBreakers:
    """Breakers, retry budgets, places and buckets by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}
        self._tries: dict[str, dict[tuple[str, int], int]] = {}
        self._marks: dict[tuple[str, int], float] = {}
        self._places: dict[str, dict[str, float]] = {}
        self._full_at: dict[str, float] = {}

    def ask(
        self,
        name: str,
        limits: Limits,
        now_us: float,
        *,
        paused_us: float = 0,
        tokens: int = 0,
        message_id: int = 0,
        lease: str = "",
        lease_us: float = 0,
    ) -> Leave:
        with self._lock:
            state = self._states.setdefault(name, _State())
            wait = max(state.open_until, state.probe_until) - now_us
            if state.open_until > 0 and wait > 0:
                return Leave("breaker", wait / 1_000_000)
            if paused_us > 0:
                return Leave("pause", paused_us / 1_000_000)
            slot = int(now_us // TRIES_SLOT_US)
            again = self._marks.get((name, message_id), 0) > now_us
            tries = self._tries.setdefault(name, {})
            if again and state.open_until == 0:
                first, more = _sum(tries, "first", slot, TRIES_SLOTS), _sum(tries, "again", slot, TRIES_SLOTS)
                here = tries.get(("again", slot), 0)
                few = here < RETRY_FLOOR and more < RETRY_FLOOR * TRIES_SLOTS
                if not few and more + 1 > RETRY_RATIO * first and not _is_well(state, now_us):
                    return Leave("retries", ((slot + 1) * TRIES_SLOT_US - now_us) / 1_000_000)
            places = {one: until for one, until in self._places.get(name, {}).items() if until > now_us}
            if limits.at_once and len(places) >= limits.at_once:
                return Leave("busy", BUSY_US / 1_000_000)
            amounts = {bucket: tokens if bucket.counts == "tokens" else 1 for bucket in limits.buckets}
            for bucket, amount in amounts.items():
                full_at, burst = max(now_us, self._full_at.get(bucket.name, 0)), bucket.rate.burst
                wait = full_at + (min(amount, burst) - burst) * bucket.rate.interval_us - now_us
                if wait > 0:
                    return Leave(bucket.counts, wait / 1_000_000)
            for bucket, amount in amounts.items():
                full_at = max(now_us, self._full_at.get(bucket.name, 0))
                self._full_at[bucket.name] = full_at + amount * bucket.rate.interval_us
            if limits.at_once:
                self._places[name] = places | {lease: now_us + lease_us}
            _count(tries, "again" if again else "first", slot, TRIES_SLOTS)
            probe = state.open_until > 0
            if probe:
                state.probe_until = now_us + PROBE_US
            return Leave(probe=probe, again=again, lease=lease if limits.at_once else "", tokens=tokens, limits=limits)

    def report(
        self,
        name: str,
        outcome: Outcome,
        leave: Leave,
        now_us: float,
        *,
        more_tokens: int = 0,
        message_id: int = 0,
        mark: bool = False,
    ) -> bool:
        """Whether the breaker opened."""
        with self._lock:
            self._places.get(name, {}).pop(leave.lease, None)
            if mark:
                if len(self._marks) >= _MOST_MARKS:
                    self._marks.clear()
                self._marks[name, message_id] = now_us + MARK_MS * 1000
            for bucket in leave.limits.buckets:
                if bucket.counts == "tokens":
                    full_at = max(now_us, self._full_at.get(bucket.name, 0))
                    self._full_at[bucket.name] = full_at + more_tokens * bucket.rate.interval_us
            state = self._states.setdefault(name, _State())
            if leave.probe:
                if outcome == "ok":
                    self._states[name] = _State()
                elif outcome == "bad":
                    return self._trip(state, now_us)
                else:
                    state.probe_until = 0
                return False
            if outcome == "none":
                return False
            slot = int(now_us // SLOT_US)
            _count(state.counts, outcome, slot, SLOTS)
            if outcome == "ok" or state.open_until > 0:
                return False
            bad = _sum(state.counts, "bad", slot, SLOTS)
            total = bad + _sum(state.counts, "ok", slot, SLOTS)
            return total >= MIN_CALLS and bad >= RATIO * total and self._trip(state, now_us)

    @staticmethod
    def _trip(state: _State, now_us: float) -> bool:
        state.trips += 1
        state.open_until = now_us + min(OPEN_MAX_US, OPEN_US * 2 ** (state.trips - 1))
        state.probe_until = 0
        return True


def _is_well(state: _State, now_us: float) -> bool:
    """It answers nearly everything."""
    slot = int(now_us // SLOT_US)
    ok, bad = _sum(state.counts, "ok", slot, SLOTS), _sum(state.counts, "bad", slot, SLOTS)
    return ok > 0 and ok >= RETRY_WELL * (ok + bad)


def _sum(counts: dict[tuple[str, int], int], kind: str, slot: int, slots: int) -> int:
    return sum(count for (one, at), count in counts.items() if one == kind and at > slot - slots)


def _count(counts: dict[tuple[str, int], int], kind: str, slot: int, slots: int) -> None:
    if (kind, slot) not in counts:
        for old in [key for key in counts if key[1] <= slot - slots]:
            del counts[old]
    counts[kind, slot] = counts.get((kind, slot), 0) + 1
