"""Work in a thread of its own, which is left alone when it takes too long: nothing else ends a tool, or a silence.

A thread cannot be killed. One that was left goes on until its own time-outs end it, and its result is dropped; who has
many of those is refused more, so that a tool that always hangs cannot eat a worker.
"""

from __future__ import annotations

import contextvars
import threading
from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable

T = TypeVar("T")

LOOK_EVERY_S = 0.1
#: so many threads of one name may be left hanging in a process
MAX_LEFT = 8

_left: Counter[str] = Counter()
_lock = threading.Lock()


class Attempt(Generic[T]):
    """One piece of work under way. `left`: nobody waits for it any more, so it should end."""

    def __init__(self, name: str, work: Callable[[Attempt[T]], T]) -> None:
        self.name = name
        self.left = False
        self._work = work
        self._ended = threading.Event()
        self._result: T | None = None
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._work(self)
        except BaseException as exc:  # noqa: BLE001 - it is raised where somebody waits
            self._failure = exc
        with _lock:
            self._ended.set()
            if self.left:
                _left[self.name] -= 1

    def wait(self, deadline: Deadline) -> T:
        """The result. Raises what the work raised, or DeadlineExceeded or a Stopped as soon as it is due."""
        try:
            while not self._ended.wait(min(LOOK_EVERY_S, deadline.remaining_s() + 0.001)):
                deadline.check()
        except BaseException:
            with _lock:
                if not self._ended.is_set():
                    self.left = True
                    _left[self.name] += 1
            raise
        if self._failure is not None:
            raise self._failure
        return self._result  # type: ignore[return-value]


def apart(name: str, work: Callable[[Attempt[T]], T], deadline: Deadline) -> T:
    """The result of `work`, in a thread with the same context. Raises Unavailable when too many of this name hang."""
    deadline.check()
    if hanging(name) >= MAX_LEFT:
        raise Unavailable("too many earlier calls still hang", kind="timeout", code="hanging", provider=name)
    attempt = Attempt(name, work)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(attempt.run,), name=f"agent {name}", daemon=True).start()
    return attempt.wait(deadline)


def hanging(name: str) -> int:
    """How many threads of this name were left and have not ended."""
    with _lock:
        return _left[name]
