"""What a worker process tells the ledger: it is here, it lives, it stops, it is gone.

A thread says every two seconds that the process lives. Whoever stays silent for eight is taken for dead, and the
sweeper frees what it held: that is how an answer whose worker was killed goes on elsewhere within 15 seconds, although
its lease is much longer. Workers of one machine need not wait for the silence: each watches the others' processes, and
the first to note that one has ended frees what it held and sweeps at once.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from mindbot_tasks.chat.learned import current
from mindbot_tasks.core import processes, shutdown
from mindbot_tasks.core.errors import DatabaseUnavailable, Draining
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores import cancelling, knowledge_version, sweeping, workers
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.stores.sweeping import SILENT_MS

log = structlog.get_logger(__name__)

BEAT_S = 2.0
#: two beats of everybody else, and a little
STEADY_S = 5.0
#: beat is missing when nobody has swept for this long: three slots
SWEEP_OVERDUE_MS = 15_000


class Presence:
    """This process's row in `workers`, and the thread that keeps it fresh."""

    def __init__(
        self, name: str, queues: Sequence[str], on_sweep_overdue: Callable[[], None], on_death: Callable[[], None]
    ) -> None:
        self.name = name
        self._queues = list(queues)
        self._on_sweep_overdue = on_sweep_overdue
        self._on_death = on_death
        self._endings = processes.Endings()
        self._newest = 0
        self._dead: list[int] = []
        self._lock = threading.Lock()
        self._id: int | None = None
        self._stop = threading.Event()
        self._left_over: list[Callable[[], None]] = []
        self._heard_at = float("-inf")
        self._steady_since = float("inf")
        self._sweeping: threading.Thread | None = None
        self._ear = cancelling.Ear()
        self._ear.start()
        self._thread = threading.Thread(target=self._live, name="presence", daemon=True)
        self._thread.start()

    @property
    def worker_id(self) -> int:
        """Our id in `workers`; registers at the first call. Raises DatabaseUnavailable."""
        with self._lock:
            if self._id is None:
                with one_statement() as connection:
                    self._id = workers.register(connection, self.name, self._queues, process=processes.identity())
                self._heard_at = time.monotonic()
                log.info("worker_registered", worker=self._id, queues=self._queues)
            return self._id

    def check(self) -> None:
        """Raises Draining when the sweeper may by now take this process for dead: its work may be in other hands.

        To be called before anything that cannot be taken back. The clock goes on while a process is frozen.
        """
        if time.monotonic() - self._heard_at > SILENT_MS / 1000 - BEAT_S / 2:
            raise Draining("the ledger has not heard of this worker for too long")

    def steady(self) -> bool:
        """The ledger has heard of this worker without a break for long enough that others were heard as well.

        Who has just come back from an outage of the database must not judge others by their silence.
        """
        return time.monotonic() - self._steady_since >= STEADY_S

    def later(self, change: Callable[[], None]) -> None:
        """A change of the ledger that could not be made because the database was away; tried again until it works."""
        with self._lock:
            self._left_over.append(change)

    def wait_until_written(self, patience_s: float) -> None:
        """Return when there is no such change left, or after so long."""
        until = time.monotonic() + patience_s
        while self._left_over and time.monotonic() < until and not self._stop.wait(0.2):
            pass

    def leave(self) -> list[int]:
        """Stop the thread and free what this process held; returns those messages. Never raises."""
        self._stop.set()
        self._endings.wake()
        self._ear.close()
        if self._id is None:
            return []
        try:
            with one_statement() as connection:
                return workers.leave(connection, self._id)
        except DatabaseUnavailable:
            return []  # silence has the same effect, eight seconds later

    def show_up(self) -> None:
        """Be known to the ledger at once, and look whether neighbours are gone. Never raises."""
        try:
            self.worker_id  # noqa: B018 - registers
            self._watch_neighbours()
        except DatabaseUnavailable as exc:
            log.warning("presence_unknown", reason=str(exc))

    def _live(self) -> None:
        next_beat = time.monotonic() + BEAT_S
        while True:
            ended = self._endings.wait(next_beat - time.monotonic())
            if self._stop.is_set():
                return
            try:
                self._bury(ended)
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_S
                    self._beat()
            except DatabaseUnavailable as exc:
                self._steady_since = float("inf")
                log.warning("presence_unknown", reason=str(exc))
            except Exception:
                # whatever it was, a process that no longer says it lives would lose all its work
                log.exception("presence_failed")

    def _watch_neighbours(self) -> None:
        with reading() as connection:
            neighbours = workers.neighbours(connection, processes.place())
        neighbours.pop(self._id or 0, None)
        self._bury(self._endings.follow(neighbours))

    def _bury(self, ended: list[int]) -> None:
        """Neighbours have ended; the first who notes it sets going what they held."""
        with self._lock:
            dead, self._dead = self._dead + ended, []
        if not dead:
            return
        try:
            with one_statement() as connection:
                buried, freed = sweeping.bury(connection, dead)
        except DatabaseUnavailable:
            with self._lock:
                self._dead += dead  # with the next beat
            raise
        if buried:
            log.warning("workers_ended", workers=buried, messages=len(freed))
            if not shutdown.stopping():
                threading.Thread(target=self._on_death, name="sweep after a death", daemon=True).start()

    def _beat(self) -> None:
        worker_id = self.worker_id
        with one_statement() as connection:
            pulse = workers.beat(connection, worker_id)
        if pulse.known:
            now = time.monotonic()
            # the gap counts, too: this process may have been frozen together with all others
            self._steady_since = min(self._steady_since, now) if now - self._heard_at < SILENT_MS / 1000 else now
            self._heard_at = now
        else:
            log.warning("worker_was_taken_for_dead", worker=worker_id)
            with self._lock:
                self._id = None
            return
        with self._lock:
            changes, self._left_over = self._left_over, []
        for number, change in enumerate(changes):
            try:
                change()
            except DatabaseUnavailable:
                with self._lock:
                    self._left_over = changes[number:] + self._left_over
                raise
        if not self._ear.hears:
            with reading() as connection:
                cancelling.here.compare(connection)
        if Stage.CLASSIFY in self._queues:
            before = current.version()
            current.follow(pulse.classifier)
            if current.version() != before:
                log.info("classifier_version", version=current.version())
        knowledge_version.follow(pulse.knowledge)
        if pulse.newest != self._newest:
            self._watch_neighbours()
            self._newest = pulse.newest
        overdue = pulse.sweep_age_ms is None or pulse.sweep_age_ms > SWEEP_OVERDUE_MS
        if overdue and not shutdown.stopping() and (self._sweeping is None or not self._sweeping.is_alive()):
            # beside this thread: a sweep may wait for the broker, and a worker that waits must not look dead
            self._sweeping = threading.Thread(target=self._on_sweep_overdue, name="overdue sweep", daemon=True)
            self._sweeping.start()


def _nothing() -> None:
    """What a process does that no worker has configured."""


_alone = False
_queues: Sequence[str] = ()
_on_sweep_overdue: Callable[[], None] = _nothing
_on_death: Callable[[], None] = _nothing


def configure(queues: Sequence[str], on_sweep_overdue: Callable[[], None], on_death: Callable[[], None]) -> None:
    """What this worker serves, what to do when nobody sweeps, and when another worker has died; before any work."""
    global _queues, _on_sweep_overdue, _on_death
    _queues, _on_sweep_overdue, _on_death = queues, on_sweep_overdue, on_death


@functools.cache
def get_presence() -> Presence:
    """The presence of this process, made at the first claim or when the worker is ready."""
    role = os.environ.get("MINDBOT_ROLE", "worker")
    return Presence(name_of(role, os.getpid()), _queues, _on_sweep_overdue, _on_death)


def name_of(role: str, pid: int) -> str:
    """What a process of this machine is called in `workers`."""
    return f"{role}@{socket.gethostname()}:{pid}"


def be_alone() -> None:
    """This process takes one message, and ends (`mindbot_tasks/alone.py`)."""
    global _alone
    _alone = True


def is_alone() -> bool:
    return _alone


def forget_presence() -> None:
    """After a fork: the parent's row and thread are not ours."""
    get_presence.cache_clear()


def stop() -> list[int]:
    """Leave, if this process ever showed up; returns the messages that it still held."""
    return get_presence().leave() if get_presence.cache_info().currsize else []


def guard() -> threading.Timer:
    """A timer that ends the process when draining takes too long; better than SIGKILL from outside."""

    def end() -> None:
        freed = stop()
        log.error("worker_did_not_stop_in_time", freed=len(freed))
        os._exit(70)

    timer = threading.Timer(get_settings().times.guard_s, end)
    timer.daemon = True
    timer.start()
    return timer
