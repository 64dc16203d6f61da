"""One of something for the whole process, made when it is first wanted."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Call it for the thing; threads that come while it is being made wait for it, and nobody makes a second one.

    Unlike functools.cache it cannot be that something made before `forget` comes back after it.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._made: tuple[T] | None = None
        self.__doc__ = make.__doc__
        _all.add(self)

    def __call__(self) -> T:
        made = self._made
        if made is None:
            with self._lock:
                made = self._made
                if made is None:
                    made = self._made = (self._make(),)
        return made[0]

    def forget(self) -> T | None:
        """The next call makes a new one. Returns the old one, if there was one."""
        with self._lock:
            made, self._made = self._made, None
        return made[0] if made is not None else None

    def unlock_after_fork(self) -> None:
        """In a forked child: a thread that held the lock does not exist here, so nobody would ever give it back."""
        self._lock = threading.RLock()


_all: weakref.WeakSet[Once[Any]] = weakref.WeakSet()


def _after_fork() -> None:
    for each in _all:
        each.unlock_after_fork()


os.register_at_fork(after_in_child=_after_fork)
