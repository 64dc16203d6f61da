"""Tries the ways to answer in their order; a dead one costs its own share of the time and not the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import (
    DeadlineExceeded,
    FarSideError,
    Rejected,
    RetryableError,
    Stopped,
    Throttled,
    Unavailable,
)
from mindbot_tasks.core.metrics import ANSWER_SECONDS, FIRST_TOKEN_SECONDS
from mindbot_tasks.llm.base import Answerer, OnText, Question
from mindbot_tasks.llm.sharing import told_to
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.stores import breaker, limiter, performance
from mindbot_tasks.stores.limiter import Rate

log = structlog.get_logger(__name__)

_MIN_SHARE_S = 5.0
_PAUSE_S = 5.0  # after a 429 that does not say how long
_MAX_PAUSE_S = 300.0
_PROBED_AGAIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer, and what it may use."""

    answerer: Answerer
    timeout_s: float
    rate: Rate | None = None
    guarded: bool = True  #: False: it needs no breaker and no limit, because it cannot fail
    room_tokens: int = 0  #: what may be sent to it at once; 0: unknown


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, who gave it, and the remote conversation id to keep for him ("" if there is none)."""

    answer: Answer
    answerer: str
    session_id: str = ""


Accept = Callable[[Answer], str]
"""Says what is wrong with an answer, "" if nothing is: "empty" is never sent, anything else only if there is no better
one."""


def answer(
    ways: Sequence[Way],
    question: Question,
    sessions: Mapping[str, str],
    deadline: Deadline,
    on_text: OnText,
    accept: Accept | None = None,
) -> Told:
    """The answer of the first way that has one; `sessions` are the remote conversation ids by answerer.

    An answer that is not accepted has one more way asked, once; nobody's breaker hears of it.

    Raises a Stopped at once. When no way works: the RetryableError that asks for the shortest wait, else Rejected.
    """
    tries: list[dict[str, Any]] = []
    second_best: Told | None = None
    objected = False
    failures: list[FarSideError] = []
    for number, way in enumerate(ways):
        name = way.answerer.name
        try:
            deadline.check()
        except DeadlineExceeded as exc:
            failures.append(exc)
            break
        leave = breaker.ask(name, way.rate) if way.guarded else breaker.Leave()
        if leave.reason:
            failures.append(_refusal(name, leave))
            tries.append({"answerer": name, "skipped": leave.reason, "wait_s": round(leave.wait_s, 1)})
            continue
        asked = told_to(way.answerer, question, sessions.get(name, ""), room_tokens=way.room_tokens)
        share_s = _share_s(way, deadline.remaining_s(), len(ways) - number - 1)
        started = time.monotonic()
        outcome: breaker.Outcome = "none"
        try:
            spoken = way.answerer.answer(asked, deadline.within(share_s), on_text)
            outcome = "ok"
        except Stopped:
            raise
        except FarSideError as exc:
            outcome = _outcome(exc, share_s)
            if isinstance(exc, Throttled) and way.guarded:
                wait_s = exc.retry_after_s if exc.retry_after_s is not None else _PAUSE_S
                limiter.pause(name, min(wait_s, _MAX_PAUSE_S))
            failures.append(exc)
            tries.append({"answerer": name, **_described(exc), "ms": _ms_since(started)})
            log.warning("answerer_failed", answerer=name, **_described(exc), took_ms=_ms_since(started))
            continue
        finally:
            if way.guarded:
                breaker.report(name, outcome, probe=leave.probe)
                if outcome != "none":
                    performance.note(name, ok=outcome == "ok", seconds=time.monotonic() - started)
            ANSWER_SECONDS.labels(name, outcome).observe(time.monotonic() - started)
        if spoken.answer.first_token_ms is not None:
            FIRST_TOKEN_SECONDS.labels(name).observe(spoken.answer.first_token_ms / 1000)
        tries.append({"answerer": name, "outcome": "ok", "ms": _ms_since(started)})
        details = {**spoken.answer.details, "answerer": name, "tries": tries}
        told = Told(replace(spoken.answer, details=details), name, spoken.session_id)
        objection = accept(spoken.answer) if accept is not None else ""
        if not objection or (objected and objection != "empty" and second_best is None):
            return told
        log.info("answer_not_accepted", answerer=name, objection=objection)
        tries[-1]["objection"] = objection
        if objection == "empty":
            failures.append(Rejected("the answer is empty", kind="content", code="empty", provider=name))
        elif second_best is None:
            second_best = told
        if objected:
            break
        objected = True
    if second_best is not None:
        return second_best
    raise _worst(failures)


def _share_s(way: Way, left_s: float, others: int) -> float:
    """At most the way's own time-out, and leave something for those behind it."""
    if not others:
        return min(way.timeout_s, left_s)
    return min(way.timeout_s, max(_MIN_SHARE_S, left_s * 0.6))


def _outcome(exc: FarSideError, share_s: float) -> breaker.Outcome:
    """What a failure says about the far side's health."""
    if not isinstance(exc, Unavailable) or exc.kind == "content":
        return "none"
    if isinstance(exc, DeadlineExceeded) and share_s < _MIN_SHARE_S:
        return "none"  # we were late, not they
    return "bad"


def _worst(failures: Sequence[FarSideError]) -> FarSideError:
    """What to raise when nothing worked: hope first."""
    hopeful = [failure for failure in failures if isinstance(failure, RetryableError)]
    if hopeful:
        return min(hopeful, key=lambda failure: failure.retry_after_s or 0.0)
    if failures:
        return failures[-1]
    return Rejected("there is no way to answer", kind="invalid_request")


def _refusal(name: str, leave: breaker.Leave) -> RetryableError:
    if leave.reason == "breaker":
        return Unavailable(
            "left alone after many failures",
            kind="server",
            code="breaker_open",
            provider=name,
            retry_after_s=min(leave.wait_s, _PROBED_AGAIN_S),
        )
    return Throttled(
        "fleet-wide limit", kind="rate_limit", code=f"our_{leave.reason}", provider=name, retry_after_s=leave.wait_s
    )


def _described(exc: FarSideError) -> dict[str, Any]:
    found = {"outcome": type(exc).__name__, "kind": exc.kind, "status": exc.status, "code": exc.code}
    return {key: value for key, value in found.items() if value is not None}


def _ms_since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
