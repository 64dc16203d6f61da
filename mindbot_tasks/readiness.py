"""Whether a message that comes now can go all the way, and if not, why."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import redis
from kombu.exceptions import OperationalError

from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.platforms.condition import conditions
from mindbot_tasks.stores import knowledge_state
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.health import HealthSnapshot, snapshot
from mindbot_tasks.stores.knowledge_state import KnowledgeState
from mindbot_tasks.stores.redis import get_redis

#: the queues that every message goes through, and the one that mends
NEEDED: Final = ("classify", "generate", "reply", "upkeep")
#: only where there is an agent
AGENT: Final = "agent"
#: canaries fly every 10 s; three lost in a row mean that nobody consumes
CANARY_LIMIT_S: Final = 35.0
SWEEP_LIMIT_S: Final = 30.0
UNSTARTED_LIMIT_S: Final = 60.0
CACHE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold, with a sentence for people."""

    ok: bool
    reason: str
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """`ready` when a message that comes now can go all the way."""

    ready: bool
    checks: dict[str, Check]
    workers: int = 0
    unfinished: dict[str, int] = field(default_factory=dict)
    #: each bot's own troubles; they make nothing else unready
    platforms: list[dict[str, Any]] = field(default_factory=list)
    #: None: there is none. A trouble of it costs answers their passages and makes nothing unready
    knowledge: KnowledgeState | None = None


class _Cached:
    """The state of the system, looked up at most once a second however often it is asked for."""

    def __init__(self, look: Callable[[], tuple[HealthSnapshot | None, Readiness]]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._last: tuple[HealthSnapshot | None, Readiness] | None = None

    def get(self) -> tuple[HealthSnapshot | None, Readiness]:
        with self._lock:
            if self._last is None or time.monotonic() - self._at > CACHE_S:
                self._last = self._look()
                self._at = time.monotonic()
            return self._last

    def forget(self) -> None:
        with self._lock:
            self._last = None


def judge(seen: HealthSnapshot, *, broker: Check, needed: Sequence[str] = NEEDED) -> Readiness:
    """What a snapshot of the ledger means; `needed` are the queues that must be served. Pure."""
    checks = {"database": Check(True, "answers"), "broker": broker}
    for queue in needed:
        checks[f"queue {queue}"] = _canary(queue, seen.canary_age_s.get(queue), seen)
    for queue in sorted(seen.served - set(needed)):
        checks[f"queue {queue}"] = _canary(queue, seen.canary_age_s.get(queue), seen)
    checks["sweeper"] = _younger("the last sweep", seen.sweep_age_s, SWEEP_LIMIT_S, never="nobody has swept yet")
    waiting = seen.oldest_unstarted_s
    checks["oldest unstarted message"] = (
        Check(True, "none waits")
        if waiting is None
        else _younger("the oldest message that nobody has started", waiting, UNSTARTED_LIMIT_S, never="")
    )
    return Readiness(all(check.ok for check in checks.values()), checks, seen.workers, dict(seen.unfinished))


def _canary(queue: str, age_s: float | None, seen: HealthSnapshot) -> Check:
    if queue not in seen.served and (age_s is None or age_s > CANARY_LIMIT_S):
        return Check(False, "no living worker serves this queue", age_s)
    return _younger("the last canary", age_s, CANARY_LIMIT_S, never="no canary has come through yet")


def _younger(what: str, age_s: float | None, limit_s: float, *, never: str) -> Check:
    if age_s is None:
        return Check(False, never)
    age_s = round(max(0.0, age_s), 1)
    ok = age_s <= limit_s
    return Check(ok, f"{what} is {age_s:.0f} s old" + ("" if ok else f", more than {limit_s:.0f}"), age_s)


def _broker() -> Check:
    try:
        if get_settings().broker_url.get_secret_value():
            with app.connection_for_write(connect_timeout=1) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
        else:
            get_redis().ping()
    except (redis.RedisError, OperationalError, OSError) as exc:
        return Check(False, f"does not answer ({type(exc).__name__})")
    return Check(True, "answers")


def _look() -> tuple[HealthSnapshot | None, Readiness]:
    broker = _broker()
    needed = (*NEEDED, AGENT) if get_settings().runs_agent else NEEDED
    platforms = [one.as_record() for one in conditions(get_settings())]
    known = knowledge_state.read() if get_settings().chromadb is not None else None
    try:
        with reading() as connection:
            seen = snapshot(connection)
    except DatabaseUnavailable as exc:
        checks = {"database": Check(False, str(exc)), "broker": broker}
        return None, Readiness(False, checks, platforms=platforms, knowledge=known)
    return seen, replace(judge(seen, broker=broker, needed=needed), platforms=platforms, knowledge=known)


state = _Cached(_look)
