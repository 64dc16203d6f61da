"""Processes in groups of their own, what they use, and their end, whatever happens to the benchmark."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

ROOT = Path(__file__).resolve().parents[1]
STOP_GRACE_S = 15.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What some processes have used since they started."""

    cpu_s: float
    memory_bytes: int  #: proportional: what several share counts once

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(self.cpu_s - earlier.cpu_s, self.memory_bytes)


def usage_of(pid: int) -> Usage:
    """Of a process and its descendants; those that have ended since count for nothing."""
    cpu_s, memory = 0.0, 0
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        for process in [first, *first.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                cpu_s += times.user + times.system
                memory += _memory_of(process)
    return Usage(cpu_s, memory)


def _memory_of(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.AccessDenied, AttributeError):
        return int(process.memory_full_info().pss)
    return int(process.memory_info().rss)


class Processes:
    """A set of named processes; leaving the context ends them all."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._kinds: dict[str, str] = {}
        self._logs: dict[str, Path] = {}
        self._reaper = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.reaper"], cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True
        )

    def start(self, name: str, argv: Sequence[str], environment: Mapping[str, str], folder: Path, *, kind: str) -> int:
        """Start one; `kind` groups it in `usage`. What it writes goes to <folder>/<name>.log."""
        self._logs[name] = folder / f"{name}.log"
        with self._logs[name].open("ab") as output:
            process = subprocess.Popen(
                argv,
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[name], self._kinds[name] = process, kind
        self.watch(process.pid)
        return process.pid

    def run(
        self, commands: Sequence[Sequence[str]], environment: Mapping[str, str], folder: Path, *, timeout_s: float
    ) -> list[bytes]:
        """What each writes to its standard output until it ends, side by side. Nothing is left when we are interrupted.

        Raises CalledProcessError, TimeoutExpired.
        """
        until = time.monotonic() + timeout_s
        running: list[subprocess.Popen[bytes]] = []
        try:
            for argv in commands:
                process = subprocess.Popen(
                    argv,
                    env=environment,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                )
                running.append(process)
                self.watch(process.pid)
            written = [process.communicate(timeout=until - time.monotonic())[0] for process in running]
        finally:
            for process in running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(10)
        for process in running:
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, process.args)
        return written

    def watch(self, group: int) -> None:
        """Kill this group, too, should the benchmark be killed."""
        assert self._reaper.stdin is not None
        self._reaper.stdin.write(f"{group}\n".encode())
        self._reaper.stdin.flush()

    def adopt(self, name: str, pid: int, kind: str) -> None:
        """Count a process in `usage` that somebody else starts and ends."""
        self._kinds[name] = kind
        self._adopted = {**getattr(self, "_adopted", {}), name: pid}

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def usage(self, kind: str = "ours") -> Usage:
        """Of all processes of a kind."""
        return _sum([usage for name, usage in self.usage_by_name().items() if self._kinds[name] == kind])

    def usage_by_name(self) -> dict[str, Usage]:
        pids = {name: process.pid for name, process in self._running.items()} | getattr(self, "_adopted", {})
        return {name: usage_of(pid) for name, pid in pids.items()}

    def kinds(self) -> dict[str, str]:
        return dict(self._kinds)

    def signal(self, name: str, number: signal.Signals) -> None:
        """To the whole group."""
        os.killpg(self._running[name].pid, number)

    def wait_until(self, ready: Callable[[], bool], what: str, *, timeout_s: float = 60) -> float:
        """Seconds until `ready` said yes. Raises RuntimeError with a log's last words when that will never be."""
        started = time.monotonic()
        while not ready():
            for name, process in self._running.items():
                if process.poll() is not None:
                    words = self._logs[name].read_text(errors="replace")[-3000:]
                    raise RuntimeError(f"{name} ended while {what} was starting:\n{words}")
            if time.monotonic() - started > timeout_s:
                raise RuntimeError(f"{what} was not ready after {timeout_s:.0f} s; see {self._logs}")
            time.sleep(0.02)
        return time.monotonic() - started

    def stop(self, *names: str) -> None:
        """In good order, with SIGKILL for those that do not follow; all if none is named."""
        chosen = {name: self._running.pop(name) for name in names or list(self._running)}
        for process in reversed(list(chosen.values())):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.kill(process.pid, signal.SIGTERM)
        until = time.monotonic() + STOP_GRACE_S
        for process in chosen.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            assert self._reaper.stdin is not None
            self._reaper.stdin.close()
            self._reaper.wait(10)


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(sum(each.cpu_s for each in usages), sum(each.memory_bytes for each in usages))


def free_port() -> int:
    """A port on loopback that nobody used a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
