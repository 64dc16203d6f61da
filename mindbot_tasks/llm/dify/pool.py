"""A workflow with its tries: several endpoints and keys, the load among them, and a few quick retries.

A conversation belongs to one app, so it stays with its endpoint; when that one fails, the conversation begins anew at
another, which is told what was said so far.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DeadlineExceeded, FarSideError, RetryableError, Throttled, Unavailable
from mindbot_tasks.llm.base import Attachment, OnText, Question, Spoken
from mindbot_tasks.llm.dify import sessions
from mindbot_tasks.llm.dify.address import base_of
from mindbot_tasks.llm.dify.app import DifyApp
from mindbot_tasks.llm.dify.errors import WRONG_APP
from mindbot_tasks.stores import breaker
from mindbot_tasks.stores.leave import Leave, Outcome

log = structlog.get_logger(__name__)

_MIN_SHARE_S = 5.0
_ASIDE_S = 15.0  # after a failure an endpoint is not the first choice of this process
_PAUSE_S = 5.0  # after a 429 that does not say how long
_MOST_PAUSE_S = 300.0
_BACKOFF_S = 0.3
_LEASE_MARGIN_S = 10.0
_MOST_WAIT_S = 2.0  # in a worker slot; who needs longer is waited for by the message, not by the worker
#: one more try is all that makes sense: the model or the flow itself said no
_ONCE_MORE = frozenset({"completion_request_error", "workflow_failed"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One app of a workflow; `label` keeps its conversations apart from those of the others."""

    label: str
    app: DifyApp
    weight: float = 1.0

    @property
    def name(self) -> str:
        """Keys its breaker and its pause."""
        return f"{self.app.name}#{self.label}"


@dataclass(frozen=True, slots=True)
class DifyPool:
    """One workflow; `max_retries` are the tries after the first, of all endpoints together; each gets one."""

    name: str
    endpoints: tuple[Endpoint, ...]
    max_retries: int = 0
    chance: Callable[[], float] = random.random
    _aside: dict[str, float] = field(default_factory=dict, compare=False)  #: name -> until when (monotonic)

    def takes(self, attachment: Attachment) -> bool:
        return self.endpoints[0].app.takes(attachment)

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """The first answer that one of the endpoints has. Raises what the last of them said, or a Stopped."""
        session = sessions.read(question.session_id)
        order = self._order(session)
        tries, most = 0, 1 + max(self.max_retries, len(self.endpoints) - 1)
        failures: list[FarSideError] = []
        told: dict[str, FarSideError] = {}
        while True:
            ready = [endpoint for endpoint in order if self._again(told.get(endpoint.label))]
            # those that were not asked yet come first
            ready.sort(key=lambda endpoint: endpoint.label in told)
            if not ready or tries >= most:
                break
            endpoint = ready[0]
            before = told.get(endpoint.label)
            if before is not None and not _wait(before, tries, deadline):
                break
            try:
                spoken = self._ask(endpoint, session, question, deadline, len(ready) - 1, on_text, before)
            except _Closed as exc:
                order = [other for other in order if other is not endpoint]
                failures.append(exc.refusal)
                continue
            except FarSideError as exc:
                tries += 1
                if exc.code in _ONCE_MORE and endpoint.label in told:
                    order = [other for other in order if other is not endpoint]
                told[endpoint.label] = exc
                failures.append(exc)
                if deadline.remaining_s() <= 0:
                    break
                log.info("dify_try_failed", answerer=endpoint.name, kind=exc.kind, code=exc.code, number=tries)
                continue
            return spoken
        raise _worst(failures)

    def _ask(
        self,
        endpoint: Endpoint,
        session: sessions.Session,
        question: Question,
        deadline: Deadline,
        others: int,
        on_text: OnText,
        before: FarSideError | None,
    ) -> Spoken:
        """One try of one endpoint, which may have failed `before`.

        Raises _Closed when it is not to be called now, and what its app raises.
        """
        own = self._own(endpoint, session)
        asked = replace(question, session_id=sessions.write(own))
        if len(self.endpoints) == 1:
            # its breaker, its limits and its budget of retries are those of the workflow; the first try has their leave
            if before is not None:
                breaker.report(self.name, _outcome(before), failed_message=question.message_id)
                _check(self.name, breaker.ask(self.name, message_id=question.message_id))
            return endpoint.app.answer(asked, deadline, on_text)
        share_s = max(_MIN_SHARE_S, deadline.remaining_s() * 0.6) if others else deadline.remaining_s()
        leave = breaker.ask(endpoint.name, message_id=question.message_id, lease_s=share_s + _LEASE_MARGIN_S)
        _check(self.name, leave)
        outcome: Outcome = "none"
        failed: FarSideError | None = None
        try:
            spoken = endpoint.app.answer(asked, deadline.within(share_s), on_text)
            outcome = "ok"
            self._aside.pop(endpoint.name, None)
            return self._labelled(endpoint, spoken, question.session_id)
        except FarSideError as exc:
            failed, outcome = exc, _outcome(exc)
            self._aside[endpoint.name] = time.monotonic() + _ASIDE_S
            raise
        finally:
            breaker.report(
                endpoint.name,
                outcome,
                leave,
                pause_s=_pause_s(failed),
                failed_message=question.message_id if isinstance(failed, RetryableError) else 0,
            )

    def _order(self, session: sessions.Session) -> list[Endpoint]:
        """Where the conversation is, then by weight and luck, those that failed just now at the end."""
        if len(self.endpoints) == 1:
            return list(self.endpoints)
        now = time.monotonic()
        home = self._home(session)
        left = [endpoint for endpoint in self.endpoints if endpoint is not home]
        # weighted sampling without replacement (Efraimidis and Spirakis)
        luck = {
            endpoint.label: self.chance() ** (1 / endpoint.weight) if endpoint.weight else -1.0 for endpoint in left
        }
        left.sort(key=lambda endpoint: (self._aside.get(endpoint.name, 0.0) > now, -luck[endpoint.label]))
        return left if home is None else [home, *left]

    def _home(self, session: sessions.Session) -> Endpoint | None:
        if not (session.conversation_id or session.waits):
            return None
        known = next((endpoint for endpoint in self.endpoints if endpoint.label == session.endpoint), None)
        # a conversation from the time when there was only one endpoint
        return known or (self.endpoints[0] if not session.endpoint else None)

    def _own(self, endpoint: Endpoint, session: sessions.Session) -> sessions.Session:
        """What this endpoint can know of a conversation; another key of one server may belong to the same app."""
        home = self._home(session) if len(self.endpoints) > 1 else endpoint
        if len(self.endpoints) == 1 and session.endpoint not in ("", endpoint.label):
            return sessions.Session()
        bare = replace(session, endpoint="")
        if home is endpoint:
            return bare
        same_server = home is not None and base_of(home.app.endpoint) == base_of(endpoint.app.endpoint)
        return bare.rested() if same_server else sessions.Session()

    def _labelled(self, endpoint: Endpoint, spoken: Spoken, before: str) -> Spoken:
        """The answer of one of several, with the way back to it."""
        session = replace(sessions.read(spoken.session_id), endpoint=endpoint.label)
        details = {**spoken.answer.details, "endpoint": endpoint.label}
        answer = replace(spoken.answer, details=details)
        is_kept = session.conversation_id or session.form_token
        return Spoken(answer, sessions.write(session) if is_kept else sessions.kept(sessions.Session(), before))

    def _again(self, told: FarSideError | None) -> bool:
        """Whether an endpoint may be asked (again) after what it said."""
        if told is None:
            return True
        # who was too slow would be so again, and the user waits already
        return isinstance(told, RetryableError) and told.kind not in ("timeout", "content", "protocol")


class _Closed(Exception):
    """Somebody who is not to be called now."""

    def __init__(self, refusal: RetryableError) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def _check(name: str, leave: Leave) -> None:
    """Raises _Closed for a leave that is none."""
    if leave.reason == "breaker":
        raise _Closed(
            Unavailable("left alone after failures", code="breaker_open", provider=name, retry_after_s=leave.wait_s)
        )
    if leave.reason:
        raise _Closed(
            Throttled(
                "fleet-wide limit",
                kind="rate_limit",
                code=f"our_{leave.reason}",
                provider=name,
                retry_after_s=leave.wait_s,
            )
        )


def _outcome(exc: FarSideError) -> Outcome:
    """What a failure says about the far side's health."""
    return "bad" if isinstance(exc, Unavailable) and exc.kind != "content" else "none"


def _pause_s(exc: FarSideError | None) -> float:
    """How long nobody in the fleet may call an endpoint after this."""
    if not isinstance(exc, Throttled):
        return 0.0
    return min(exc.retry_after_s if exc.retry_after_s is not None else _PAUSE_S, _MOST_PAUSE_S)


def _wait(failed: FarSideError, tries: int, deadline: Deadline) -> bool:
    """The pause before the same endpoint is asked again; False: it would be too long for a worker slot."""
    asked_s = failed.retry_after_s
    wait_s = _BACKOFF_S * 2 ** max(0, tries - 1) * random.uniform(0.5, 1.5)  # noqa: S311
    if asked_s is not None or wait_s + _MIN_SHARE_S > deadline.remaining_s():
        # who says how long is left alone that long, by the whole fleet: see `fallback`
        return False
    until = time.monotonic() + min(wait_s, _MOST_WAIT_S)
    while (left := until - time.monotonic()) > 0:
        deadline.check()
        time.sleep(min(left, 0.1))
    return True


def _worst(failures: Sequence[FarSideError]) -> FarSideError:
    """What to raise when nothing worked: hope first, and the deadline before everything."""
    if failures and isinstance(failures[-1], DeadlineExceeded):
        return failures[-1]
    hopeful = [failure for failure in failures if isinstance(failure, RetryableError)]
    real = [failure for failure in hopeful if not _is_ours(failure)] or hopeful
    if real:
        return min(real, key=lambda failure: failure.retry_after_s or 0.0)
    told = [failure for failure in failures if failure.code not in WRONG_APP] or list(failures)
    return told[-1] if told else Unavailable("there is no endpoint", kind="server")


def _is_ours(failure: FarSideError) -> bool:
    """It never left the house."""
    return failure.code == "breaker_open" or (failure.code or "").startswith("our_")
