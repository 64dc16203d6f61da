"""A few at a time, in the order in which they came: more at once would only take the processor from each other."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterator

from mindbot_tasks.core.deadline import Deadline

_LOOK_S = 1.0  #: so often a waiting thread asks whether it shall stop


class Turns:
    """At most `most` threads of this process are inside."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._free = self._most
        self._waiting: deque[threading.Event] = deque()

    @property
    def are_taken(self) -> bool:
        """Whether the next one has to wait."""
        return not self._free

    @contextlib.contextmanager
    def one(self, deadline: Deadline) -> Iterator[None]:
        """Wait for one's turn, and have it for the block. Raises DeadlineExceeded or a Stopped."""
        self._enter(deadline)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, deadline: Deadline) -> None:
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return
            called = threading.Event()
            self._waiting.append(called)
        try:
            while not called.wait(min(_LOOK_S, deadline.remaining_s())):
                deadline.check()
        except BaseException:
            with self._lock:
                if called.is_set():  # called and gone at the same moment: the next one, then
                    self._call_next()
                else:
                    self._waiting.remove(called)
            raise

    def _leave(self) -> None:
        with self._lock:
            self._call_next()

    def _call_next(self) -> None:
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._free += 1


#: searches in this process: more than processors, for most of the time is the vector store's, which may be far away
searches = Turns(max(8, 4 * (os.cpu_count() or 1)))
os.register_at_fork(after_in_child=searches._reset)
