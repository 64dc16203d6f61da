"""Turns to write: one at a time, in every process, and nobody is passed over for ever."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.stores.turns import Turns

_GREEDY = """
import sys, time
from mindbot_tasks.stores.turns import Turns
turns = Turns(sys.argv[1])
print("ready", flush=True)
ends_at = time.monotonic() + 20
while time.monotonic() < ends_at:
    with turns.take(5):
        time.sleep(0.002)
"""


def test_two_processes_do_not_write_at_once(tmp_path: Path) -> None:
    one, other = Turns(str(tmp_path / "db")), Turns(str(tmp_path / "db"))
    with one.take(1):
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable), other.take(0.2):
            pytest.fail("two writers at once")
        assert 0.2 <= time.monotonic() - started < 2
    with other.take(1):
        pass


def test_who_gave_up_leaves_nothing_behind(tmp_path: Path) -> None:
    one, other = Turns(str(tmp_path / "db")), Turns(str(tmp_path / "db"))
    with one.take(1), pytest.raises(DatabaseUnavailable), other.take(0.05):
        pytest.fail("two writers at once")
    for turns in (one, other, one):
        with turns.take(0.5):
            pass


def test_a_process_that_wants_to_write_all_the_time_does_not_keep_others_out(tmp_path: Path) -> None:
    greedy = subprocess.Popen(
        [sys.executable, "-c", _GREEDY, str(tmp_path / "db")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert greedy.stdout is not None
        assert greedy.stdout.readline() == b"ready\n"
        turns = Turns(str(tmp_path / "db"))
        for _ in range(50):
            with turns.take(2):
                pass
    finally:
        greedy.kill()
        greedy.wait()
        assert greedy.stdout is not None
        greedy.stdout.close()


def test_databases_in_memory_have_turns_without_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Turns("").take(1):
        assert list(tmp_path.iterdir()) == []
