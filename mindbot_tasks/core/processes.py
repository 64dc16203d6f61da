"""Who a process is beyond its pid, and the moment at which one of them ends."""

from __future__ import annotations

import functools
import os
import select
import threading
from collections.abc import Mapping
from pathlib import Path


@functools.cache
def place() -> str:
    """The boot and the namespaces of this process: who has the same sees our pid, by the same clock. "": unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return "/".join([boot, *(str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "time"))])
    except OSError:
        return ""


def identity() -> str:
    """This process, so that no later one is taken for it: its place, its pid and when it was started. "": unknown."""
    here, pid = place(), os.getpid()
    started = _started(pid)
    return f"{here}/{pid}/{started}" if here and started and hasattr(os, "pidfd_open") else ""


def _started(pid: int) -> str:
    """When it was started, in clock ticks since boot; "" when that is not to be known (there may be such a process)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # the name before it may contain anything


class Endings:
    """Tells when processes of this place end, at once and whatever ends them.

    By pidfd and epoll of Linux, so waiting costs nothing. Elsewhere nobody is ever known to have ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[int, int] = {}  # key -> pidfd
        self._key_of: dict[int, int] = {}  # pidfd -> key
        self._epoll = select.epoll() if hasattr(os, "pidfd_open") else None
        self._woken = threading.Event()
        if self._epoll is not None:
            self._waker = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._epoll.register(self._waker, select.EPOLLIN)

    def follow(self, identities: Mapping[int, str]) -> list[int]:
        """Watch these from now on, by a key of the caller's choice, and no others; those of another place are left out.

        Returns the keys of those that have ended already; `wait` does not tell them again.
        """
        if self._epoll is None:
            return []
        prefix = f"{place()}/"
        with self._lock:
            for key in set(self._watched) - set(identities):
                self._forget(self._epoll, key)
            return [
                key
                for key, who in identities.items()
                if key not in self._watched and who.startswith(prefix) and not self._watch(self._epoll, key, who)
            ]

    def _watch(self, epoll: select.epoll, key: int, who: str) -> bool:
        """False: it has ended."""
        pid, started = who.rsplit("/", 2)[1:]
        try:
            watched = os.pidfd_open(int(pid))
        except ProcessLookupError:
            return False
        except OSError:
            return True  # too many open files, or not allowed: its silence will tell
        # asked after the opening, so what we hold cannot be a later one; a process that ended meanwhile tells so itself
        if _started(int(pid)) not in (started, ""):
            os.close(watched)
            return False
        self._watched[key], self._key_of[watched] = watched, key
        epoll.register(watched, select.EPOLLIN)
        return True

    def _forget(self, epoll: select.epoll, key: int) -> None:
        watched = self._watched.pop(key)
        del self._key_of[watched]
        epoll.unregister(watched)  # closing is not enough where a forked child has it open as well
        os.close(watched)

    def wait(self, timeout_s: float) -> list[int]:
        """The keys of those that ended, each once; [] after `timeout_s` or when woken. For one thread at a time."""
        if self._epoll is None:
            self._woken.wait(timeout_s)
        if self._epoll is None or self._woken.is_set():
            return []
        ready = self._epoll.poll(max(0.0, timeout_s))
        with self._lock:
            ended = [key for fd, _ in ready if (key := self._key_of.get(fd)) is not None]
            for key in ended:
                self._forget(self._epoll, key)
        return ended

    def wake(self) -> None:
        """Whoever waits comes back, now and ever after; from any thread."""
        self._woken.set()
        if self._epoll is not None:
            os.eventfd_write(self._waker, 1)
