"""Processes in groups of their own that come back when they die, and never outlive the trial."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.chaos.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
RESTART_AFTER_S = 1.0
STOP_GRACE_S = 10.0


class Undertaker:
    """A process that kills what we started, should we be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.undertaker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """What it still watches dies now."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()


@dataclass
class Child:
    """One role of the stack: what to run, and what runs now."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    ready_word: bytes = b""  #: in its output as soon as it serves; b"": it serves at once
    process: subprocess.Popen[bytes] | None = None
    output_before: int = 0
    started_at: float = 0.0
    dead_at: float | None = None
    starts: int = 0

    @property
    def pid(self) -> int | None:
        """Of the group, while it lives."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    @property
    def output(self) -> Path:
        return self.folder / f"{self.name}.log"

    def serves(self) -> bool:
        """It runs, and has said that it is ready."""
        if self.pid is None:
            return False
        with self.output.open("rb") as output:
            output.seek(self.output_before)
            return self.ready_word in output.read()


class Children:
    """All roles of the stack; what dies is started again after about a second."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._undertaker = Undertaker()
        self._by_name: dict[str, Child] = {}
        self._keeper: asyncio.Task[None] | None = None

    def __getitem__(self, name: str) -> Child:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Child]:
        return iter(self._by_name.values())

    def watch(self, group: int) -> None:
        """Kill this group, too, if we get killed."""
        self._undertaker.watch(group)

    def add(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str], folder: Path, ready_word: bytes = b""
    ) -> Child:
        """Start a role for the first time."""
        child = self._by_name[name] = Child(name, argv, environment, folder, ready_word)
        self._start(child)
        return child

    def keep(self) -> None:
        """From now on, start again what dies."""
        self._keeper = asyncio.create_task(self._keep())

    def signal_group(self, name: str, number: signal.Signals) -> int | None:
        """Signal a whole role; returns its group, None if it is not running."""
        group = self._by_name[name].pid
        if group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
        return group

    def kill(self, name: str) -> int | None:
        """SIGKILL of a role, gone when this returns."""
        group = self.signal_group(name, signal.SIGKILL)
        process = self._by_name[name].process
        if group is not None and process is not None:
            process.wait(60)
        return group

    def terminate(self, name: str) -> int | None:
        """Ask the first process of a role to stop in good order."""
        group = self._by_name[name].pid
        if group is not None:
            os.kill(group, signal.SIGTERM)
        return group

    async def stop(self) -> None:
        """End everything: first in good order, then not."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        for name in self._by_name:
            if name != "redis":
                self.terminate(name)
        until = time.monotonic() + STOP_GRACE_S
        rest = [child for name, child in self._by_name.items() if name != "redis"]
        while any(child.pid is not None for child in rest):
            if time.monotonic() > until:
                return
            await asyncio.sleep(0.1)

    def end(self) -> None:
        """SIGKILL for whatever is left; safe to call twice."""
        for child in self._by_name.values():
            if child.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait(60)
                child.process = None
        self._by_name.clear()
        self._undertaker.close()

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    async def _keep(self) -> None:
        while True:
            for child in self._by_name.values():
                if child.process is None or child.process.poll() is None:
                    continue
                if child.dead_at is None:
                    child.dead_at = time.monotonic()
                    self._bury(child.process.pid)
                elif time.monotonic() - child.dead_at >= RESTART_AFTER_S:
                    self._start(child)
                    self._journal.note("up", target=child.name, pid=child.pid)
            await asyncio.sleep(0.05)

    def _bury(self, group: int) -> None:
        """The rest of a group whose first process is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self._undertaker.forget(group)

    def _start(self, child: Child) -> None:
        with child.output.open("ab") as output:
            child.output_before = output.tell()
            child.process = subprocess.Popen(
                child.argv,
                env=child.environment,
                cwd=child.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._undertaker.watch(child.process.pid)
        child.started_at = time.monotonic()
        child.dead_at = None
        child.starts += 1
