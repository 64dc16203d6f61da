"""Time that runs out, and a process that stops: whoever works looks at both."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mindbot_tasks.core import shutdown
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, DeadlineExceeded, Draining, RetryableError


class Clock:
    """The module `time` with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("mindbot_tasks.core.deadline.time", made)
    monkeypatch.setattr("mindbot_tasks.core.shutdown.time", made)
    return made


@pytest.fixture(autouse=True)
def _running() -> Iterator[None]:
    shutdown.forget()
    yield
    shutdown.forget()


def test_time_passes_by_itself() -> None:
    deadline = Deadline(0.02)
    shutdown.begin(0.02)
    time.sleep(0.03)
    with pytest.raises(DeadlineExceeded):
        deadline.check()
    with pytest.raises(Draining):
        shutdown.check()


def test_a_deadline_counts_down_and_then_says_so(clock: Clock) -> None:
    deadline = Deadline(0.5)
    deadline.check()
    assert deadline.remaining_s() == 0.5
    clock.now += 0.4
    assert deadline.remaining_s() == pytest.approx(0.1)
    deadline.check()
    clock.now += 0.2
    assert deadline.remaining_s() == 0
    with pytest.raises(DeadlineExceeded) as caught:
        deadline.check()
    assert isinstance(caught.value, RetryableError), "more time may help"


def test_a_part_never_ends_after_the_whole() -> None:
    whole = Deadline(0.5)
    assert whole.within(60).remaining_s() <= 0.5
    assert whole.within(0.1).remaining_s() <= 0.1


def test_who_is_told_to_stop_stops_before_the_time_is_over() -> None:
    def cancelled() -> None:
        raise Cancelled("a person said so")

    with pytest.raises(Cancelled):
        Deadline(60, stop_check=cancelled).check()
    with pytest.raises(Cancelled):
        Deadline(60, stop_check=cancelled).within(5).check()


def test_a_process_that_stops_lets_running_work_finish_for_a_while(clock: Clock) -> None:
    assert not shutdown.stopping()
    shutdown.begin(0.5)
    assert shutdown.stopping()
    shutdown.check()
    clock.now += 0.51
    with pytest.raises(Draining):
        Deadline(60, stop_check=shutdown.check).check()


def test_a_second_wish_to_stop_does_not_prolong_the_first(clock: Clock) -> None:
    shutdown.begin(0.05)
    shutdown.begin(60)
    clock.now += 0.06
    with pytest.raises(Draining):
        shutdown.check()
