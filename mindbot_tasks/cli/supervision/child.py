"""One supervised process: started in its own session, tied to our life, ended with everything it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO

LONGEST_LINE = 64 * 1024
KEPT_LINES = 20  # shown when a process dies although we are quiet
PR_SET_PDEATHSIG = 1  # linux/prctl.h

# Loaded before any fork: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Spec:
    """What to start for a role."""

    role: str
    argv: list[str]
    environment: Mapping[str, str]
    when_orphaned: signal.Signals = signal.SIGKILL  #: sent by the kernel (Linux) when the supervisor dies
    inherited: tuple[int, ...] = ()


def tied_to(parent: int, orphan_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child does before exec so that it does not outlive `parent`; None where the system cannot."""
    if _libc is None:
        return None
    libc, number = _libc, int(orphan_signal)

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os.kill(os.getpid(), signal.SIGKILL)

    return tie


@dataclass
class Child:
    """A role and the process that serves it now, if any."""

    spec: Spec
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    start_again_at: float | None = None
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    def start(self) -> IO[bytes]:
        """Start it; returns where its output comes from. Raises OSError."""
        self.started_at = time.monotonic()
        self.start_again_at = None
        self.last_lines.clear()
        self.process = subprocess.Popen(  # noqa: S603 - the command is the operator's own Procfile
            self.spec.argv,
            env=dict(self.spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            pass_fds=self.spec.inherited,
            preexec_fn=tied_to(os.getpid(), self.spec.when_orphaned),
        )
        assert self.process.stdout is not None  # noqa: S101 - stdout=PIPE
        os.set_blocking(self.process.stdout.fileno(), False)
        return self.process.stdout

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def signal(self, number: signal.Signals) -> None:
        """Tell the program itself; its own children are its business (a pool child dies of a TERM)."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill_group(self) -> None:
        """End the program and everything it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
                os.killpg(self.process.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """The exit code if it has ended (negative: by that signal), else None; leaves nothing of its group behind.

        The group is killed before the process is waited for: until then its number cannot belong to somebody else.
        """
        if self.process is None:
            return None
        if hasattr(os, "waitid"):
            try:
                ended = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                ended = None
            if ended is not None:
                self.kill_group()
        code = self.process.poll()
        if code is not None:
            if not hasattr(os, "waitid"):
                self.kill_group()
            self.process = None
        return code


class Output:
    """Cuts what a process writes into lines."""

    def __init__(self, child: Child, stream: IO[bytes], write: Callable[[str, str], None]) -> None:
        self.child = child
        self.stream = stream
        self._write = write
        self._rest = b""

    def pump(self) -> bool:
        """Pass on what is there; False at the end of the output."""
        try:
            chunk = os.read(self.stream.fileno(), LONGEST_LINE)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if not chunk or len(self._rest) > LONGEST_LINE:
            lines, self._rest = [*lines, self._rest] if self._rest else lines, b""
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            self.child.last_lines.append(text)
            self._write(self.child.spec.role, text)
        return bool(chunk)
