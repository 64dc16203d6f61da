"""Tries the ways to answer in their order; a dead one costs its own share of the time and not the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
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
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.llm import tracing
from mindbot_tasks.llm.base import Answerer, OnText, Question, Spoken
from mindbot_tasks.llm.catalogue import price_of_model
from mindbot_tasks.llm.sharing import told_to
from mindbot_tasks.model.answer import Answer, Usage
from mindbot_tasks.stores import breaker, limiter, performance, spending
from mindbot_tasks.stores.leave import NO_LIMITS, Leave, Limits
from mindbot_tasks.stores.spending import Call

log = structlog.get_logger(__name__)

_MIN_SHARE_S = 5.0
_PAUSE_S = 5.0  # after a 429 that does not say how long
_MAX_PAUSE_S = 300.0
#: kinds of refusals that have nothing to do with the question: the next one would get the same
_FOR_EVERYBODY = frozenset({"auth", "quota", "not_found"})
#: so long nobody asks whoever has no money or a wrong key, when others answer instead
_NO_USE_S = 30.0
_PROBED_AGAIN_S = 15.0
#: beyond the time of a call: for so long a place stays taken when its process has died
_LEASE_MARGIN_S = 10.0
_USUAL_ANSWER_TOKENS = 300
#: other names of a currency
_SAME_MONEY = MappingProxyType({"RMB": "CNY"})
#: of one call; whoever says more means something else
_MOST_COST = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer, and what it may use."""

    answerer: Answerer
    timeout_s: float
    limits: Limits = NO_LIMITS
    guarded: bool = True  #: False: it needs no breaker and no limit, because it cannot fail
    room_tokens: int = 0  #: what may be sent to it at once; 0: unknown


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, who gave it, and the remote conversation id to keep for him ("" if there is none)."""

    answer: Answer
    answerer: str
    session_id: str = ""


def no_estimate() -> int:
    return 0


Accept = Callable[[Answer], str]
"""Says what is wrong with an answer, "" if nothing is: "empty" is never sent, anything else only if there is no better
one."""


def answer(
    ways: Sequence[Way],
    question: Question,
    sessions: Mapping[str, str],
    deadline: Deadline,
    on_text: OnText,
    estimate: Callable[[], int] = no_estimate,
    accept: Accept | None = None,
    purpose: str = "answer",
) -> Told:
    """The answer of the first way that has one; `sessions` are the remote conversation ids by answerer.

    estimate: about how many tokens the question is; only asked where tokens are limited. Raises a Stopped at once. When
    no way works: the RetryableError that asks for the shortest wait, else Rejected. An answer that is not accepted has
    one more way asked, once; nobody's breaker hears of it. purpose: under which the calls are counted.
    """
    tries: list[dict[str, Any]] = []
    second_best: Told | None = None
    objected = False
    failures: list[FarSideError] = []
    no_use: list[str] = []
    for number, way in enumerate(ways):
        name = way.answerer.name
        try:
            deadline.check()
        except DeadlineExceeded as exc:
            failures.append(exc)
            break
        share_s = _share_s(way, deadline.remaining_s(), len(ways) - number - 1)
        leave = _ask_leave(way, question, share_s, estimate)
        if leave.reason:
            failures.append(_refusal(name, leave))
            tries.append({"answerer": name, "skipped": leave.reason, "wait_s": round(leave.wait_s, 1)})
            continue
        asked = told_to(name, question, sessions.get(name, ""), room_tokens=way.room_tokens)
        end = _End(way, leave, question.message_id, purpose)
        try:
            with tracing.asking(way.answerer) as traced:
                spoken = way.answerer.answer(asked, deadline.within(share_s), on_text)
                tracing.tell(traced, spoken.answer)
            end.spoken = spoken
        except Stopped:
            raise
        except FarSideError as exc:
            end.error, end.outcome = exc, _outcome(exc, share_s)
            failures.append(exc)
            if way.guarded and _is_no_use(exc):
                no_use.append(name)
            tries.append({"answerer": name, **_described(exc), "ms": end.took_ms})
            log.warning("answerer_failed", answerer=name, **_described(exc), took_ms=end.took_ms)
            continue
        finally:
            end.tell()
        if spoken.answer.first_token_ms is not None:
            FIRST_TOKEN_SECONDS.labels(name).observe(spoken.answer.first_token_ms / 1000)
        for refused in no_use:
            limiter.pause(refused, _NO_USE_S)
        tries.append({"answerer": name, "outcome": "ok", "ms": end.took_ms})
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


def _ask_leave(way: Way, question: Question, share_s: float, estimate: Callable[[], int]) -> Leave:
    if not way.guarded:
        return Leave()
    return breaker.ask(
        way.answerer.name,
        way.limits,
        tokens=estimate() + _USUAL_ANSWER_TOKENS if way.limits.counts_tokens else 0,
        message_id=question.message_id,
        lease_s=share_s + _LEASE_MARGIN_S,
    )


class _End:
    """What came of one call, and who has to know."""

    def __init__(self, way: Way, leave: Leave, message_id: int, purpose: str) -> None:
        self.spoken: Spoken | None = None
        self.error: FarSideError | None = None
        self.outcome: breaker.Outcome = "none"
        self._way = way
        self._leave = leave
        self._message_id = message_id
        self._purpose = purpose
        self._started = time.monotonic()

    @property
    def took_ms(self) -> int:
        return int((time.monotonic() - self._started) * 1000)

    def tell(self) -> None:
        """Limits, breaker, performance, costs and metrics; nobody, when a bug of ours ended it."""
        name, took_s = self._way.answerer.name, time.monotonic() - self._started
        if self.spoken is not None:
            self.outcome = "ok"
        ANSWER_SECONDS.labels(name, self.outcome).observe(took_s)
        self._note_cost()
        if not self._way.guarded:
            return
        breaker.report(
            name,
            self.outcome,
            self._leave,
            used_tokens=self._used_tokens(),
            pause_s=_pause_s(self.error),
            failed_message=self._message_id if isinstance(self.error, RetryableError) else 0,
        )
        if self.outcome != "none" or (self.error is not None and self.error.kind in _FOR_EVERYBODY):
            performance.note(name, ok=self.outcome == "ok", seconds=took_s)

    def _used_tokens(self) -> int | None:
        """None: nobody knows, so the guess stays."""
        if self.spoken is not None:
            usage = self.spoken.answer.usage
            return usage.input_tokens + usage.output_tokens or None
        if isinstance(self.error, Throttled | Rejected):
            return 0  # it did not begin
        return None

    def _note_cost(self) -> None:
        if self.spoken is None and self.error is None:
            return  # stopped: who knows what it cost
        settings = get_settings()
        answerer, said = self._way.answerer, self.spoken.answer if self.spoken is not None else None
        # an agent notes each of its calls; this one is only the answer
        by_itself = bool(getattr(answerer, "notes_calls", False))
        used = said.usage if said is not None and not by_itself else Usage()
        provider = said.provider if said is not None else _provider_of(answerer)
        model = str(getattr(answerer, "model", "")) or (said.model if said is not None else "")
        spending.note(
            Call(
                provider,
                model,
                said.workflow if said is not None else str(getattr(answerer, "workflow", "")),
                purpose=spending.AGENT_ANSWER if by_itself and self._purpose == "answer" else self._purpose,
                ok=said is not None,
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
                price=price_of_model(settings, provider, model),
                cost_nano=_told_cost(used, settings.budgets.currency),
                took_ms=self.took_ms,
            )
        )


def _told_cost(usage: Usage, currency: str) -> int | None:
    """What the far side says that a call cost; None: nothing, or in other money than ours."""
    if usage.price is None or not 0 <= usage.price < _MOST_COST:
        return None
    theirs, ours = (_SAME_MONEY.get(name.upper(), name.upper()) for name in (usage.currency, currency))
    return round(usage.price * spending.NANO) if not ours or theirs == ours else None


def _provider_of(answerer: Answerer) -> str:
    kind, _, name = answerer.name.partition(":")
    return "dify" if kind == "workflow" else name or kind


def _pause_s(exc: FarSideError | None) -> float:
    """For how long the far side wants to be left alone by everybody."""
    if not isinstance(exc, Throttled):
        return 0.0
    return min(exc.retry_after_s if exc.retry_after_s is not None else _PAUSE_S, _MAX_PAUSE_S)


def _is_no_use(exc: FarSideError) -> bool:
    """No money, or a wrong key: the next question would be refused as well. A 403 may be about this one."""
    return isinstance(exc, Rejected) and (exc.kind == "quota" or (exc.kind == "auth" and exc.status != 403))


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
    if leave.reason == "pause" and leave.wait_s > _MAX_PAUSE_S:  # no vendor asks for so long: a remedy of an alert
        return Unavailable(
            "switched off for a while",
            kind="server",
            code="switched_off",
            provider=name,
            retry_after_s=_PROBED_AGAIN_S,
        )
    return Throttled(
        f"fleet-wide limit: {leave.reason}",
        kind="rate_limit",
        code=f"our_{leave.reason}",
        provider=name,
        retry_after_s=leave.wait_s,
    )


def _described(exc: FarSideError) -> dict[str, Any]:
    found = {"outcome": type(exc).__name__, "kind": exc.kind, "status": exc.status, "code": exc.code}
    return {key: value for key, value in found.items() if value is not None}
