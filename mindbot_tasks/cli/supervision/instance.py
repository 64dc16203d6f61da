"""One running MindBot on one data directory: its lock, its secrets, its free ports."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import socket
from pathlib import Path
from types import TracebackType

from mindbot_tasks.cli.supervision.words import Words
from mindbot_tasks.core.errors import MindBotError


class CannotStart(MindBotError):
    """`mindbot up` gives up; the message is the one line that the user reads."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; never readable by others, not even for a moment."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def secret_from(path: Path, *, length: int = 48) -> str:
    """The secret in this file; made up and saved (0600) when the file is missing or empty."""
    if path.exists() and (known := path.read_text(encoding="utf-8").strip()):
        return known
    fresh = secrets.token_urlsafe(length)
    write_private(path, fresh + "\n")
    return fresh


def flower_credentials(home: Path) -> tuple[Path, str]:
    """The file and its `user:password` for Flower; made up when missing."""
    path = home / "flower.auth"
    if path.exists() and ":" in (known := path.read_text(encoding="utf-8").strip()):
        return path, known
    fresh = f"mindbot:{secrets.token_urlsafe(18)}"
    write_private(path, fresh + "\n")
    return path, fresh


def make_home(home: Path, words: Words) -> None:
    """Create the data directory and what belongs into it. Raises CannotStart."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / "run").mkdir(mode=0o700, exist_ok=True)
        metrics = home / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)  # counters of processes that are gone
        metrics.mkdir()
    except OSError as problem:
        raise CannotStart(words("home_unusable", home=home, why=problem.strerror)) from problem


class InstanceLock:
    """Holds `<home>/run/up.lock` while MindBot runs there; a stale file is no hindrance."""

    def __init__(self, home: Path, words: Words) -> None:
        self.path = home / "run" / "up.lock"
        self.home = home
        self.words = words
        self._descriptor: int | None = None

    def __enter__(self) -> InstanceLock:
        # everything in here holds what people wrote: nobody else on this machine shall read it
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        while self._descriptor is None:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "?"
                os.close(descriptor)
                raise CannotStart(self.words("home_busy", home=self.home, pid=holder)) from None
            # The former holder may have removed the file between our open and our lock.
            if self.path.exists() and os.path.samestat(os.fstat(descriptor), self.path.stat()):
                self._descriptor = descriptor
            else:
                os.close(descriptor)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def why_not_bindable(host: str, port: int) -> OSError | None:
    """Why this address cannot be listened on, or None."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free, as for gunicorn
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as problem:
            return problem
    return None


#: Systems hand out the ports above by themselves (Linux from 32768, others from 49152). A server that comes back to
#: such a port may find it taken by any outgoing call, or by one of its own clients that has been connected to itself.
_SET_ASIDE = range(20_000, 32_000)


def free_port(host: str = "127.0.0.1", *, first: int = 0) -> int:
    """A port that nobody listens on: the first free one from `first` upwards, or any that calls do not take."""
    for port in range(first, first + 100) if first else secrets.SystemRandom().sample(_SET_ASIDE, 100):
        if why_not_bindable(host, port) is None:
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def require_port(host: str, port: int, words: Words) -> None:
    """Raises CannotStart unless this address can be listened on."""
    problem = why_not_bindable(host, port)
    if problem is None:
        return
    if problem.errno == errno.EADDRINUSE:
        raise CannotStart(words("port_taken", host=host, port=port, other=free_port(first=port + 1)))
    raise CannotStart(words("port_refused", host=host, port=port, why=problem.strerror or problem))
