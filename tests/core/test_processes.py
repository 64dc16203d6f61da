"""Another process is known by more than its pid, and its end is noticed at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from mindbot_tasks.core import processes
from tests.slack import at_most

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")

TELL = "from mindbot_tasks.core import processes; print(processes.identity(), flush=True); input()"


class Neighbour:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.identity = self.process.stdout.readline().strip()

    def kill(self, *, reap: bool = True) -> None:
        self.process.kill()
        if reap:
            self.close()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    one = Neighbour()
    yield one
    one.close()


def test_a_process_tells_where_it_runs_its_pid_and_its_start(neighbour: Neighbour) -> None:
    assert neighbour.identity.startswith(f"{processes.place()}/{neighbour.process.pid}/")
    assert neighbour.identity != processes.identity()
    assert len(neighbour.identity) <= 160  # the column of the ledger


@pytest.mark.parametrize("reap", [True, False])
def test_the_end_of_a_neighbour_is_told_at_once_and_only_once(neighbour: Neighbour, reap: bool) -> None:
    """Even where nobody has asked for its exit code yet."""
    endings = processes.Endings()
    assert endings.follow({7: neighbour.identity}) == []
    assert endings.wait(0.05) == []
    neighbour.kill(reap=reap)
    started = time.monotonic()
    assert endings.wait(at_most(5)) == [7]
    assert time.monotonic() - started < at_most(1)
    assert endings.wait(0.05) == []


def test_one_that_has_ended_before_is_told_when_it_is_to_be_watched(neighbour: Neighbour) -> None:
    neighbour.kill()
    assert processes.Endings().follow({3: neighbour.identity}) == [3]


def test_another_process_with_the_same_pid_is_not_taken_for_it(neighbour: Neighbour) -> None:
    before = f"{neighbour.identity.rpartition('/')[0]}/1"
    assert processes.Endings().follow({3: before, 4: neighbour.identity}) == [3]


def test_processes_of_another_machine_and_unknown_ones_are_never_said_to_have_ended(neighbour: Neighbour) -> None:
    elsewhere = neighbour.identity.replace(processes.place(), "another-boot/pid:[1]/time:[1]")
    neighbour.kill()
    endings = processes.Endings()
    assert endings.follow({1: elsewhere, 2: ""}) == []
    assert endings.wait(0.05) == []


def test_who_is_no_longer_followed_is_not_told(neighbour: Neighbour) -> None:
    endings = processes.Endings()
    endings.follow({1: neighbour.identity})
    endings.follow({})
    neighbour.kill()
    assert endings.wait(0.05) == []


def test_waiting_can_be_ended() -> None:
    endings = processes.Endings()
    endings.wake()
    started = time.monotonic()
    assert endings.wait(30) == []
    assert time.monotonic() - started < at_most(1)
