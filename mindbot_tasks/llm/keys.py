"""Several API keys of one provider: used in turn; a bad one rests, and the next answers instead."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog
from pydantic import SecretStr

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled
from mindbot_tasks.core.metrics import KEYS_SET_ASIDE
from mindbot_tasks.llm.base import Answerer, Attachment, OnText, Question, Spoken, TakesAttachments
from mindbot_tasks.stores.keys_aside import fingerprint, keys_aside

log = structlog.get_logger(__name__)

#: kinds of a Rejected that speak of the key and not of the question
BAD = frozenset({"auth", "quota"})
BAD_S = 600.0  # a refused key is tried again after so long: somebody may have paid
_PAUSE_S = 5.0  # after a 429 that does not say how long
_MAX_PAUSE_S = 600.0


class Ring:
    """The keys of one provider. Threads may share it."""

    def __init__(self, name: str, keys: Sequence[SecretStr]) -> None:
        self.name = name
        self.keys = tuple(keys)
        self._marks = [fingerprint(key.get_secret_value()) for key in keys]
        self._turns = itertools.count(random.randrange(1000))  # noqa: S311 - not all processes begin with the same one

    def usable(self) -> Iterator[int]:
        """Positions of the keys that may be used now, beginning with the next one in turn."""
        count = len(self.keys)
        if count == 1:
            yield 0  # there is no other: what becomes of it is for the breaker to judge
            return
        resting = keys_aside.resting(self.name, self._marks)
        well = [at for at in range(count) if self._marks[at] not in resting]
        if well:  # in turn among these, so that the one behind a resting key does not carry its share alone
            first = next(self._turns) % len(well)
            yield from (*well[first:], *well[:first])

    def failed(self, at: int, exc: FarSideError) -> bool:
        """Whether it was the key's fault, so that another may do better; then this one rests, in the whole fleet."""
        if isinstance(exc, Throttled):
            seconds = _PAUSE_S if exc.retry_after_s is None else min(exc.retry_after_s, _MAX_PAUSE_S)
        elif isinstance(exc, Rejected) and exc.kind in BAD:
            seconds = BAD_S
        else:
            return False
        if len(self.keys) == 1:
            return False
        keys_aside.put(self.name, self._marks[at], exc.kind, max(seconds, 0.1))
        KEYS_SET_ASIDE.labels(self.name, exc.kind).inc()
        tell = log.info if isinstance(exc, Throttled) else log.warning
        tell("api_key_set_aside", answerer=self.name, key=self.called(at), kind=exc.kind, status=exc.status,
             code=exc.code, for_s=round(seconds, 1))  # fmt: skip
        return True

    def retry(self) -> None:
        """Let all keys be used again, such as after paying. Raises redis.RedisError."""
        keys_aside.forget(self.name, self._marks)

    def called(self, at: int) -> str:
        """How people may be told of it: by its place, and by its end if that says little about the rest.

        >>> Ring("provider:x", [SecretStr("sk-0123456789abcdef"), SecretStr("short")]).called(0)
        '#1 (...cdef)'
        """
        secret = self.keys[at].get_secret_value()
        return f"#{at + 1} (...{secret[-4:]})" if len(secret) >= 16 else f"#{at + 1}"

    def exhausted(self, failures: Sequence[FarSideError]) -> FarSideError:
        """What to raise when no key is left: the shortest wait if there is hope, else why the keys are refused."""
        rests = keys_aside.resting(self.name, self._marks).values()
        waits = [rest.left_s for rest in rests if rest.reason == "rate_limit"]
        if waits:
            return Throttled(
                "every api key was told to wait",
                kind="rate_limit",
                code="all_keys_wait",
                provider=self.name,
                retry_after_s=min(waits),
            )
        kinds = {failure.kind for failure in failures} | {rest.reason for rest in rests}
        return Rejected(
            "every api key is refused",
            kind="quota" if kinds == {"quota"} else "auth",
            code="all_keys_refused",
            provider=self.name,
            status=failures[-1].status if failures else None,
        )

    def states(self) -> list[tuple[str, str, float]]:
        """For people: how each key is called, why it rests ("": it does not), and for how many more seconds."""
        resting = keys_aside.resting(self.name, self._marks)
        return [
            (self.called(at), resting[mark].reason, resting[mark].left_s)
            if mark in resting
            else (self.called(at), "", 0)
            for at, mark in enumerate(self._marks)
        ]


@dataclass(frozen=True, slots=True)
class SeveralKeys:
    """The same answerer once for each key of a ring, in the ring's order."""

    ring: Ring
    answerers: tuple[Answerer, ...]

    @property
    def name(self) -> str:
        return self.ring.name

    @property
    def model(self) -> str:
        return str(getattr(self.answerers[0], "model", ""))

    @property
    def workflow(self) -> str:
        return str(getattr(self.answerers[0], "workflow", ""))

    def takes(self, attachment: Attachment) -> bool:
        first = self.answerers[0]
        return isinstance(first, TakesAttachments) and first.takes(attachment)

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """The answer by the first key that is good.

        Raises Rejected (kind auth or quota) when none is, Throttled when all were told to wait, and what one of them
        raises that is not about keys.
        """
        failures: list[FarSideError] = []
        for at in self.ring.usable():
            if failures:
                deadline.check()
            try:
                return self.answerers[at].answer(question, deadline, on_text)
            except (Rejected, Throttled) as exc:
                if not self.ring.failed(at, exc):
                    raise
                failures.append(exc)
        raise self.ring.exhausted(failures)
