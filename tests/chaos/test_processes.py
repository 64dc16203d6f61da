"""What a trial starts comes back when it dies, and is gone when the trial is, however that ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.chaos import journal
from tests.chaos.journal import Journal
from tests.chaos.processes import ROOT, Children

SLEEP = ("/bin/sh", "-c", "echo ready; sleep 60 & wait")

_TRIAL = """
import pathlib, sys, time
from tests.chaos.journal import Journal
from tests.chaos.processes import Children

folder = pathlib.Path(sys.argv[1])
with Journal(folder / "nemesis.jsonl") as deeds, Children(deeds) as children:
    print(children.add("role", ["/bin/sh", "-c", "sleep 60 & wait"], {}, folder).pid, flush=True)
    time.sleep(60)
"""


def alive(group: int) -> bool:
    """Somebody in this process group runs; a zombie does not."""
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                return True
        except ProcessLookupError:
            continue
    return False


def gone(group: int, within_s: float = 60) -> bool:
    until = time.monotonic() + within_s
    while alive(group):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_what_is_killed_comes_back_with_a_line_in_the_log(tmp_path: Path) -> None:
    async def trial() -> tuple[int | None, int | None]:
        with Journal(tmp_path / "nemesis.jsonl") as deeds, Children(deeds) as children:
            child = children.add("role", SLEEP, {}, tmp_path, b"ready")
            children.keep()
            first = children.kill("role")
            assert not child.serves()
            for _ in range(1000):
                if child.serves():
                    break
                await asyncio.sleep(0.05)
            again = child.pid
            await children.stop()
            return first, again

    first, again = asyncio.run(asyncio.wait_for(trial(), 100))
    assert first is not None
    assert again is not None
    assert first != again
    assert [(line["event"], line["target"], line["pid"]) for line in journal.read(tmp_path / "nemesis.jsonl")] == [
        ("up", "role", again)
    ]
    assert gone(first)
    assert gone(again)


def test_a_trial_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    groups = []

    def fail() -> None:
        with Journal(tmp_path / "nemesis.jsonl") as deeds, Children(deeds) as children:
            groups.append(children.add("role", SLEEP, {}, tmp_path).pid)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    (group,) = groups
    assert group is not None
    assert gone(group)


def test_a_trial_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _TRIAL, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as trial:
        assert trial.stdout is not None
        group = int(trial.stdout.readline())
        assert alive(group)
        trial.send_signal(signal.SIGKILL)
    assert gone(group)
