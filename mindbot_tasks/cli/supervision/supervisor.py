"""Keeps processes alive: starts them again with a growing delay, and ends them in order."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

from mindbot_tasks.cli.supervision.child import Child, Output, Spec
from mindbot_tasks.cli.supervision.lines import Lines
from mindbot_tasks.cli.supervision.words import Words

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
STABLE_AFTER_S = 60.0
OURSELVES = "mindbot"


@dataclass(frozen=True)
class Step:
    """A step of the shutdown: who is told to end, and how long it may take (seconds from the start of the stop)."""

    roles: frozenset[str] | None  #: None: everybody not named elsewhere
    next_at_s: float  #: the following step begins then, even if somebody of this one still runs
    kill_at_s: float


SAME_REQUEST_S = 1.0  # a signal that reaches us both directly and through `make` is one request
HASTE_S = 2.0  # after a second Ctrl-C Redis still gets this long to save


def stop_steps(guard_s: float) -> tuple[Step, ...]:
    """First what lets work in, then those who work, then who watches, at last the broker.

    Workers drain, and end themselves by their guard; whoever ignores that is killed, so that all is over 5 s after it.
    Bridges are told first, for they let work in; and have as long as workers, for one that sends answers is a worker.
    """
    return (
        Step(frozenset({"bridges"}), next_at_s=0.0, kill_at_s=guard_s + 1.5),
        Step(frozenset({"beat", "watchdog", "web"}), next_at_s=3.0, kill_at_s=6.0),
        Step(None, next_at_s=guard_s + 2.0, kill_at_s=guard_s + 1.5),
        Step(frozenset({"flower", "local_model", "chroma"}), next_at_s=guard_s + 3.0, kill_at_s=guard_s + 3.0),
        Step(frozenset({"redis"}), next_at_s=guard_s + 4.5, kill_at_s=guard_s + 4.5),
    )


def delay_s(failures: int) -> float:
    """Seconds to wait before the start after this many deaths in a row.

    >>> [delay_s(n) for n in (1, 2, 3, 6, 60)]
    [1.0, 2.0, 4.0, 30.0, 30.0]
    """
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 1, 10), LONGEST_DELAY_S)


class Supervisor:
    """Runs processes until it is told to stop; everything happens in the thread that calls it."""

    def __init__(self, lines: Lines, words: Words, *, steps: Sequence[Step]) -> None:
        self.lines = lines
        self.words = words
        self.steps = steps
        self.children: dict[str, Child] = {}
        self.hastened = False
        self._stop_asked_at: float | None = None
        self._selector = selectors.DefaultSelector()

    # -- life ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Take over SIGINT, SIGTERM and SIGHUP, and wake up when a child ends."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._selector.register(reader, selectors.EVENT_READ, None)
        before = {
            number: signal.getsignal(number)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        }
        woken_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.unregister(reader)
            os.close(reader)
            os.close(writer)

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stop_asked_at is None:
            self._stop_asked_at = now
        elif number == signal.SIGINT and now > self._stop_asked_at + SAME_REQUEST_S:
            self.hastened = True

    @property
    def stopping(self) -> bool:
        """True once somebody asked for the end."""
        return self._stop_asked_at is not None

    def start(self, spec: Spec) -> Child:
        """Start this role and keep it alive from now on."""
        child = self.children[spec.role] = Child(spec)
        self._launch(child)
        return child

    def run_until(self, done: Callable[[], bool], *, timeout_s: float | None = None) -> bool:
        """Supervise until `done`; False if a stop was asked for or the time ran out before."""
        give_up_at = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.stopping:
            if done():
                return True
            if give_up_at is not None and time.monotonic() > give_up_at:
                return False
            self._turn(restart=True)
        return False

    def run_once(self, spec: Spec) -> int | None:
        """Run a command to its end while keeping the others alive; its exit code, None if a stop was asked for."""
        child = Child(spec)
        self._launch(child)
        code: int | None = None
        while code is None and not self.stopping:
            self._turn(restart=True)
            code = child.reap()
        if code is None:
            child.signal(signal.SIGTERM)
            child.kill_group()
            while child.process is not None and child.reap() is None:
                self._wait(0.1)
        self._wait(0)
        return code

    # -- one turn --------------------------------------------------------------------------------------------------

    def _turn(self, *, restart: bool) -> None:
        due = [child.start_again_at for child in self.children.values() if child.start_again_at is not None]
        now = time.monotonic()
        self._wait(max(0.0, min([0.25, *(at - now for at in due)])))
        for child in self.children.values():
            code = child.reap()
            if code is not None and restart:
                self._mourn(child, code)
            if restart and child.start_again_at is not None and time.monotonic() >= child.start_again_at:
                self._launch(child)

    def _wait(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if isinstance(key.data, Output):
                if not key.data.pump():
                    self._selector.unregister(key.fileobj)
                    key.data.stream.close()
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)

    def _launch(self, child: Child) -> None:
        try:
            stream = child.start()
        except OSError as problem:
            child.failures += 1
            pause = delay_s(child.failures)
            child.start_again_at = time.monotonic() + pause
            self.lines.say(child.spec.role, self.words("cannot_start", why=problem.strerror or problem, delay=pause))
            return
        self._selector.register(stream, selectors.EVENT_READ, Output(child, stream, self.lines.of_role))
        self.lines.note(child.spec.role, self.words("started", pid=child.pid))

    def _mourn(self, child: Child, code: int) -> None:
        self._wait(0)  # its last words
        if time.monotonic() - child.started_at > STABLE_AFTER_S:
            child.failures = 0
        child.failures += 1
        pause = delay_s(child.failures)
        child.start_again_at = time.monotonic() + pause
        self.lines.say(child.spec.role, self.words("ended", how=self._how(code), delay=pause))
        if self.lines.quiet and child.last_lines:
            self.lines.say(child.spec.role, self.words("last_lines"))
            for line in child.last_lines:
                self.lines.say(child.spec.role, "  " + line)

    def _how(self, code: int) -> str:
        if code < 0:
            return self.words("signal", name=signal.Signals(-code).name)
        return self.words("exit_code", code=code)

    # -- the end ---------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End everything, step by step; returns when no process is left."""
        began_at = time.monotonic()
        for child in self.children.values():
            child.start_again_at = None
        groups = self._groups()
        told = 0  # how many of the groups were asked to end
        hastened_at: float | None = None
        while told < len(groups) or self._alive(groups):
            elapsed_s = time.monotonic() - began_at
            if self.hastened and hastened_at is None:
                hastened_at = elapsed_s
                self.lines.say(OURSELVES, self.words("hastened"))
                for _, members in groups[:-1]:
                    for child in members:
                        child.kill_group()
            while told < len(groups) and (not self._alive(groups[:told]) or elapsed_s > groups[told - 1][0].next_at_s):
                for child in groups[told][1]:
                    child.signal(signal.SIGTERM)
                told += 1
            for step, members in groups[:told]:
                if elapsed_s > step.kill_at_s or (hastened_at is not None and elapsed_s > hastened_at + HASTE_S):
                    self._kill(members)
            self._turn(restart=False)
        for _ in range(20):  # what the dying wrote
            self._wait(0)

    def _groups(self) -> list[tuple[Step, list[Child]]]:
        named = frozenset[str]().union(*(step.roles for step in self.steps if step.roles is not None))
        return [
            (
                step,
                [
                    c
                    for role, c in self.children.items()
                    if (role not in named if step.roles is None else role in step.roles)
                ],
            )
            for step in self.steps
        ]

    @staticmethod
    def _alive(groups: Sequence[tuple[Step, list[Child]]]) -> bool:
        return any(child.process is not None for _, members in groups for child in members)

    def _kill(self, members: list[Child]) -> None:
        for child in members:
            if child.process is not None:
                self.lines.say(child.spec.role, self.words("overdue"))
                child.kill_group()
                child.process.wait()
                child.process = None
