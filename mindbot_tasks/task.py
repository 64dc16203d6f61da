"""MindBotTask: what all stages share about claiming a message, failing, waiting, limits and stopping.

Retries are declared with Celery's own options (`autoretry_for`, `retry_backoff`, `retry_backoff_max`, `max_retries`);
here their delays become durable: the row of the message says when to go on, and the sweeper wakes it. Nothing waits in
a worker.
"""

from __future__ import annotations

import functools
import random
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import structlog
from celery import Task
from celery.exceptions import Ignore, Retry
from sqlalchemy import Connection

from mindbot_tasks import presence
from mindbot_tasks.core import shutdown, telemetry
from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import (
    WITH_PERSON,
    Cancelled,
    DatabaseUnavailable,
    Draining,
    MindBotError,
    Rejected,
    Throttled,
)
from mindbot_tasks.core.metrics import MESSAGES, RETRIES, STAGE_SECONDS
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.message import Stage, State, Verdict
from mindbot_tasks.platforms.queues import is_own
from mindbot_tasks.stores import cancelling, claims, spending, steps, trace
from mindbot_tasks.stores.claims import MAX_STRIKES, Claim, Following
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.stores.limiter import take
from mindbot_tasks.stores.spending import Whose
from mindbot_tasks.stores.steps import LostLease
from mindbot_tasks.stores.suspects import WORKER_LOST

log = structlog.get_logger(__name__)

#: codes of refusals by our own limits: the far side was not asked, so waiting for them is no retry
OUR_OWN_REFUSALS = frozenset({"our_limit", "our_pause", "our_tokens", "our_busy", "our_retries"})
#: the message that the running task has claimed
_held: ContextVar[Claim | None] = ContextVar("held", default=None)


class StageCrashed(MindBotError):
    """A stage ended with an error that nobody planned for; its type is all that is told."""


class MindBotTask(Task):  # type: ignore[type-arg]
    """Base of the stages that work on one message; `claim` first, then one of the `stores.steps`."""

    abstract = True
    #: which stage of a message this task is; None: the task does not work on a message
    stage: ClassVar[Stage | None] = None
    #: starts of this task in the whole fleet, "200/s" or "600/m"; not Celery's `rate_limit`, which counts per worker
    #: and blocks unrelated tasks. The key may name fields of the claim: one bucket for each value.
    fleet_rate_limit: ClassVar[str | None] = None
    fleet_rate_key: ClassVar[str] = "{stage}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.stage is None:
            return self.run(*args, **kwargs)
        message_id = args[0]
        started = time.monotonic()
        outcome = "done"
        _held.set(None)
        with (
            structlog.contextvars.bound_contextvars(message_id=message_id, stage=str(self.stage)),
            telemetry.stage(str(self.stage)) as traced,
        ):
            try:
                return self.run(*args, **kwargs)
            except Retry:
                outcome = "retry"
                raise
            except Ignore:
                outcome = "elsewhere"
                raise
            except LostLease:
                outcome = "elsewhere"
                log.info("lease_lost")
                raise Ignore from None
            except Draining:
                outcome = "drained"
                self._hand_over()
            except Cancelled as exc:
                outcome = "cancelled"
                self._give_up(Verdict.CANCELLED, exc)
            except DatabaseUnavailable as exc:
                outcome = "database"
                spending.end(lost=True)
                self._release_later(exc)
            except Rejected as exc:
                outcome = "rejected"
                if exc.kind == WITH_PERSON:
                    self._leave_to_person(exc)
                self._give_up(Verdict.FAILED, exc)
            except MindBotError as exc:
                # a bot that is not configured here, or not yet: others may know it
                outcome = "unfit"
                self._strike(exc)
                raise Ignore from None
            except Exception as exc:  # noqa: BLE001 - whatever it was, the message must not be lost
                outcome = "crash"
                self._strike(exc)
                # Celery, and so Flower, would show its words, and they may be those of a message
                raise StageCrashed(type(exc).__name__) from None
            finally:
                cancelling.here.ended(message_id)
                spending.end()
                STAGE_SECONDS.labels(str(self.stage), outcome).observe(time.monotonic() - started)
                traced.outcome = outcome

    def claim(self, message_id: int) -> Claim:
        """Take the message for this stage; ends the task (and its chain) quietly when it is not this stage's turn."""
        if self.stage is None:
            raise TypeError(f"{self.name} has no stage")
        if shutdown.stopping():
            raise Ignore  # its row is free; whoever sweeps next starts it elsewhere
        worker = presence.get_presence().worker_id
        settings = get_settings()
        lease_ms = int(settings.times.lease_s * 1000)
        with one_statement() as connection:
            held = claims.claim(
                connection,
                message_id,
                self.stage,
                worker=worker,
                lease_ms=lease_ms,
                history_rows=claims.history_rows(settings.history_tokens),
                silence_ms=settings.silence_ms,
                recent=settings.classifier.enabled and bool(settings.workflows),
                alone=presence.is_alone(),
                only_here=is_own((self.request.delivery_info or {}).get("routing_key")),
            )
        if held is None:
            log.debug("not_my_turn")
            raise Ignore
        _held.set(held)
        if telemetry.is_on():
            self._trace(held)
        spending.begin(Whose(held.platform, held.bot, held.sender_ref))
        cancelling.here.began(message_id, held.attempt)
        self.request.retries = held.retries  # so that Celery computes the back-off from what the row remembers
        self._take_limit(held)
        return held

    def _trace(self, held: Claim) -> None:
        # after an orderly retry or a crash there is another error, and the attempt has told of itself
        lost = held.strikes > 1 and held.last_error in ("", WORKER_LOST)
        telemetry.claimed(
            (held.platform, held.bot, held.external_id),
            held.address,
            held.attempt,
            {
                "mindbot.message.id": held.message_id,
                "mindbot.platform": held.platform,
                "mindbot.bot": held.bot,
                "mindbot.retries": held.retries,
                "messaging.system": "celery",
                "messaging.operation.type": "process",
                "messaging.destination.name": (self.request.delivery_info or {}).get("routing_key") or "",
                "messaging.message.id": self.request.id or "",
            },
            lost=_span_of_lost(held) if lost else None,
        )

    def deadline(self, held: Claim, total_s: float) -> Deadline:
        """How long this stage may take: `total_s`, the message's own deadline, and until this process has to stop."""
        if self.stage is Stage.APOLOGISE:  # it has all the time it needs, for there is nothing after it
            return Deadline(total_s, stop_check=shutdown.check)
        total_s = min(total_s, max(0.0, held.time_left_ms / 1000))
        if self.stage is Stage.REPLY:  # a send that is broken off may have arrived; `reply` looks between two pieces
            return Deadline(total_s, stop_check=shutdown.check)
        return Deadline(total_s, stop_check=functools.partial(_go_on, held))

    def shown_until(self, deadline: Deadline) -> Deadline:
        """The same time, and over as soon as the message may be in other hands: for what people watch meanwhile."""
        return Deadline(deadline.remaining_s(), stop_check=functools.partial(_may_show, _held.get()))

    def retry(
        self, *args: Any, exc: BaseException | None = None, countdown: float | None = None, **options: Any
    ) -> Any:
        """Put the delay into the message's row, and tell Celery (and so Flower) that this is a retry.

        Waits at least as long as the far side asked. After `max_retries` the message is given up.
        """
        held = _held.get()
        if held is None:
            raise exc or Ignore()
        limit = options.get("max_retries", self.max_retries)
        kind = getattr(exc, "kind", type(exc).__name__)
        RETRIES.labels(str(held.stage), kind).inc()
        ours = getattr(exc, "code", None) in OUR_OWN_REFUSALS
        if limit is not None and held.retries >= limit and not ours:
            self._give_up(Verdict.FAILED, exc)
        asked_s = getattr(exc, "retry_after_s", None) or 0.0
        delay_s = max(asked_s, countdown or 0.0)
        try:
            with one_statement() as connection:
                steps.defer(connection, held, delay_ms=int(delay_s * 1000), error=_describe(exc), retried=not ours)
        except DatabaseUnavailable as away:
            self._release_later(away)
        except LostLease:
            raise Ignore from None
        log.info("stage_deferred", reason=_describe(exc), delay_s=round(delay_s, 2), retries=held.retries + 1)
        raise Retry(
            _describe(exc),
            exc=exc if isinstance(exc, Exception) else None,
            when=datetime.now(UTC) + timedelta(seconds=delay_s),
        )

    def _take_limit(self, held: Claim) -> None:
        rate = get_settings().limits.get(self.name.removeprefix("mindbot."), self.fleet_rate_limit)
        if not rate:
            return
        key = self.fleet_rate_key.format(stage=held.stage, platform=held.platform, bot=held.bot)
        wait_s = take(key, rate)
        if wait_s > 0:
            with one_statement() as connection:
                steps.defer(
                    connection, held, delay_ms=int(wait_s * 1000), error="waits for the fleet-wide limit", retried=False
                )
            raise Retry(
                "fleet-wide limit",
                exc=Throttled("fleet-wide limit", retry_after_s=wait_s),
                when=datetime.now(UTC) + timedelta(seconds=wait_s),
            )

    def _hand_over(self) -> NoReturn:
        """This process stops: give the message back; the next sweep starts it elsewhere."""
        held = _held.get()
        if held is not None:
            try:
                with one_statement() as connection:
                    steps.defer(connection, held, delay_ms=0, error="handed over by a stopping worker", retried=False)
                log.info("stage_handed_over")
            except (DatabaseUnavailable, LostLease) as exc:
                log.warning("hand_over_failed", reason=str(exc))
        raise Ignore

    def _give_up(self, verdict: Verdict, exc: BaseException | None) -> NoReturn:
        held = _held.get()
        if held is None:
            raise Ignore
        if held.stage is Stage.APOLOGISE:
            self._end_in_silence(held, exc)
        log.warning("message_given_up", verdict=str(verdict), reason=_describe(exc))
        MESSAGES.labels(held.platform, f"given_up_{verdict}", held.label).inc()
        try:
            with one_statement() as connection:
                steps.give_up(connection, held, verdict, error=_describe(exc))
        except DatabaseUnavailable as away:
            self._release_later(away)
        except LostLease:
            raise Ignore from None
        raise Ignore  # the next sweep starts the apology

    def _leave_to_person(self, exc: Rejected) -> NoReturn:
        """A person answers in this conversation now; whatever we would say comes too late and is not wanted."""
        held = _held.get()
        if held is None:
            raise Ignore
        log.info("left_to_a_person")
        MESSAGES.labels(held.platform, str(State.IGNORED), held.label).inc()
        self.settle(held, lambda connection: steps.finish(connection, held, State.IGNORED, note=_describe(exc)))
        raise Ignore

    def _end_in_silence(self, held: Claim, exc: BaseException | None) -> NoReturn:
        """Not even the apology can be delivered; trying that for ever would help nobody."""
        log.error("message_ended_in_silence", verdict=str(held.verdict), reason=_describe(exc))
        self.settle(held, lambda connection: steps.end_in_silence(connection, held, error=_describe(exc)))
        raise Ignore

    def settle(
        self,
        held: Claim,
        record: Callable[[Connection], Following | None],
        *,
        within: Callable[[], AbstractContextManager[Connection]] = one_statement,
        release: bool = False,
    ) -> Following | None:
        """Write down what cannot be taken back, a piece that went out or the end; returns whose turn it is then.

        Should the database be away just now, the task ends, and the same is tried until it works: to forget it would
        mean to send it twice. release: there is more to do; give the message back after that.
        """

        def write() -> None:
            try:
                with within() as connection:
                    record(connection)
            except LostLease:
                log.warning("too_late_to_settle", message_id=held.message_id)

        try:
            with within() as connection:
                return record(connection)
        except DatabaseUnavailable as exc:
            log.warning("database_unavailable", reason=str(exc))
            presence.get_presence().later(write)
            if release:
                self._release_later(exc)
            raise Ignore from None

    def _release_later(self, exc: DatabaseUnavailable) -> NoReturn:
        """The database is away: whatever was done is lost, but the message must not wait for its whole lease."""
        held = _held.get()
        log.warning("database_unavailable", reason=str(exc))
        if held is not None:

            def release() -> None:
                try:
                    with one_statement() as connection:
                        steps.defer(connection, held, delay_ms=0, error=str(exc), retried=False)
                except LostLease:
                    return

            presence.get_presence().later(release)
        raise Ignore

    def _strike(self, exc: Exception) -> None:
        """A bug, ours or a plugin's, or a bot nobody here knows: try again soon, but not for ever; the strike stays."""
        held = _held.get()
        known = isinstance(exc, MindBotError)
        if known:
            log.error("stage_cannot_work", reason=_describe(exc))
        else:
            log.error("stage_crashed", error=type(exc).__name__, place=_frames(exc))
        if held is None:
            return
        try:
            with one_statement() as connection:
                if held.strikes >= MAX_STRIKES and held.stage is Stage.APOLOGISE:
                    steps.end_in_silence(connection, held, error=_describe(exc))
                elif held.strikes >= MAX_STRIKES:
                    verdict = Verdict.FAILED if known else Verdict.POISON
                    steps.give_up(connection, held, verdict, error=_describe(exc))
                else:
                    # no two crashes at the same time, should they have the same cause
                    delay_ms = int(1000 * held.strikes * random.uniform(1, 2))  # noqa: S311
                    steps.defer(
                        connection, held, delay_ms=delay_ms, error=_describe(exc), retried=False, keep_strikes=True
                    )
        except (DatabaseUnavailable, LostLease) as away:
            log.warning("strike_not_recorded", reason=str(away))


def _span_of_lost(held: Claim) -> tuple[int, int]:
    """From when to when the attempt before this one lived, by the timeline; milliseconds."""
    now = now_ms()
    try:
        with reading() as connection:
            return trace.span_of_attempt(connection, held.message_id, held.attempt - 1) or (now, now)
    except DatabaseUnavailable:
        return now, now


def _go_on(held: Claim) -> None:
    """Raises Draining when this process has to stop, Cancelled when somebody has stopped this answer."""
    shutdown.check()
    cancelling.here.check(held.message_id, held.attempt)


def _may_show(held: Claim | None) -> None:
    """Raises Draining or Cancelled when what people watch is no longer this task's business."""
    presence.get_presence().check()
    if held is not None:
        cancelling.here.check(held.message_id, held.attempt)


def _frames(exc: BaseException) -> list[str]:
    """Where it happened, the innermost last; without the exception's words, which may quote a message."""
    return [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(exc.__traceback__)
    ][-8:]


def _describe(exc: BaseException | None) -> str:
    """Words for the ledger: our own errors explain themselves; others may quote a message, so only their type."""
    if exc is None:
        return "unknown"
    return str(exc) if isinstance(exc, MindBotError) else type(exc).__name__
