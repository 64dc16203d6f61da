"""Small work of many threads in one commit: whoever gets the turn to write does it for all who wait.

SQLite has one writer, and a durable commit waits for the disk (some 4 ms) while everybody else waits for it. When
webhooks come faster than the disk commits them one by one, they share a commit instead of queueing. PostgreSQL's server
does the same by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import Connection

from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.stores.database import (
    get_engine,
    in_turn,
    is_busy,
    one_statement,
    patience_s,
    sqlite_turn,
    transaction,
)

Item = TypeVar("Item")
Result = TypeVar("Result")

#: so many at most share a commit; the others come with the next
MOST = 100


class _Job(Generic[Item, Result]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Result | None = None
        self.error: Exception | None = None
        self.done = False


class Together(Generic[Item, Result]):
    """`work` writes one item and returns what its thread wants to know; it must not mind being done again.

    atomic: all that it writes for one item is committed together, or nothing of it.
    """

    def __init__(self, work: Callable[[Connection, Item], Result], *, atomic: bool = False) -> None:
        self._work = work
        self._atomic = atomic
        self._lock = threading.Lock()
        self._waiting: list[_Job[Item, Result]] = []

    def run(self, item: Item) -> Result:
        """Returns when the item is committed. Raises DatabaseUnavailable, and whatever `work` raises for this item."""
        if get_engine().dialect.name != "sqlite":
            with transaction() if self._atomic else one_statement() as connection:
                return self._work(connection, item)
        job: _Job[Item, Result] = _Job(item)
        with self._lock:
            self._waiting.append(job)
        try:
            with sqlite_turn():
                while not job.done:
                    self._next()
        except DatabaseUnavailable:
            with self._lock:
                if job in self._waiting:
                    self._waiting.remove(job)
            if not job.done:
                raise
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]  # it is done, and not by an error

    def _next(self) -> None:
        """Do what waits; in this thread's turn."""
        with self._lock:
            jobs, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            self._commit(jobs)
        except Exception as exc:  # noqa: BLE001 - raised in the threads it belongs to
            if len(jobs) == 1 or isinstance(exc, DatabaseUnavailable):
                self._fail(jobs, exc)
                return
            for job in jobs:  # one of them is to blame; it must not take the others along
                try:
                    self._commit([job])
                except Exception as own:  # noqa: BLE001 - the thread of this item raises it
                    self._fail([job], own)

    def _commit(self, jobs: list[_Job[Item, Result]]) -> None:
        ends_at = time.monotonic() + patience_s()
        while True:
            try:
                with in_turn(transaction=self._atomic or len(jobs) > 1) as connection:
                    for job in jobs:
                        job.result = self._work(connection, job.item)
                break
            except DatabaseUnavailable as exc:
                if not is_busy(exc) or time.monotonic() > ends_at:
                    raise
        for job in jobs:
            job.done = True

    @staticmethod
    def _fail(jobs: list[_Job[Item, Result]], exc: Exception) -> None:
        for job in jobs:
            job.error, job.done = exc, True
