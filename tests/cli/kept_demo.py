"""A `mindbot demo --keep` in a process of its own, for tests that want a whole MindBot with emulators."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
READY_S = 240  # longer than the demo itself has patience
END_S = 60


def mindbot(
    *arguments: str, cwd: Path, home: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "mindbot_tasks.cli", *arguments],
        cwd=cwd,
        env=clean_environment() | ({"MINDBOT_HOME": str(home)} if home else {}) | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    """Ours without anything that is a setting."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")}
    return kept | {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "COLUMNS": "80"}


@dataclass
class KeptDemo:
    """What it printed, and how to talk to it."""

    process: subprocess.Popen[bytes]
    transcript: dict[str, Any]
    folder: Path
    port: str

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command on this MindBot."""
        return mindbot(*arguments, cwd=self.folder, PORT=self.port, **environment)


def start_demo(directory: Path, *options: str, **environment: str) -> subprocess.Popen[bytes]:
    """`mindbot demo`, its output in `out` and `err`."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "mindbot_tasks.cli", "demo", *options],
            cwd=directory,
            env=clean_environment() | {"TMPDIR": str(directory)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )


def wait_for(process: subprocess.Popen[bytes], directory: Path, text: str, patience_s: float = READY_S) -> str:
    """What was said on standard error, as soon as `text` is in it."""
    give_up_at = time.monotonic() + patience_s
    while True:
        said = (directory / "err").read_text(encoding="utf-8", errors="replace")
        if text in said:
            return said
        if process.poll() is not None or time.monotonic() > give_up_at:
            pytest.fail(f"the demo did not say {text!r} (exit {process.poll()}): {said}")
        time.sleep(0.1)


def descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def is_alive(process: psutil.Process) -> bool:
    """It runs; who has ended and was not yet buried does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def interrupt(process: subprocess.Popen[bytes]) -> int:
    """Ctrl-C; returns the exit code."""
    process.send_signal(signal.SIGINT)
    return process.wait(END_S)


@contextmanager
def kept_demo(directory: Path) -> Iterator[KeptDemo]:
    process = start_demo(directory, "--keep", "--json")
    try:
        said = wait_for(process, directory, "Ctrl-C")
        config = Path(re.findall(r"\S+/mindbot\.yaml", said)[0])
        port = re.findall(r"http://127\.0\.0\.1:(\d+)/readyz", said)[0]
        transcript = json.loads((directory / "out").read_text(encoding="utf-8"))
        yield KeptDemo(process, transcript, config.parent, port)
    finally:
        if process.poll() is None:
            interrupt(process)
