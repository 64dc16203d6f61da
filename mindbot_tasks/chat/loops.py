"""Notices somebody who says the same again and again: two programs that answer each other never stop by themselves."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

#: the same text so often within so many seconds
MOST = 6
WITHIN_S = 60.0
_REMEMBERED = 5_000


class LoopBreaker:
    """Of each sender in each conversation: what was said last, and when. In memory, for it must cost nothing."""

    def __init__(self, *, most: int = MOST, within_s: float = WITHIN_S) -> None:
        self._most = most
        self._within_s = within_s
        self._lock = threading.Lock()
        self._last: OrderedDict[tuple[str, ...], tuple[int, deque[tuple[float, str]]]] = OrderedDict()

    def goes_round(self, sender: tuple[str, ...], text: str, message_id: str, now_s: float) -> bool:
        """True from the time on when the same was said too often. A repeated delivery of a message does not count."""
        said = hash(text)
        with self._lock:
            before, times = self._last.get(sender, (said, deque()))
            if before != said or self._last.get(sender) is None:
                times = deque()
            self._last[sender] = (said, times)
            self._last.move_to_end(sender)
            while len(self._last) > _REMEMBERED:
                self._last.popitem(last=False)
            while times and times[0][0] < now_s - self._within_s:
                times.popleft()
            if all(message_id != known for _, known in times):
                times.append((now_s, message_id))
                if len(times) > self._most + 1:
                    times.popleft()
            return len(times) > self._most

    def forget(self) -> None:
        """Start anew; for tests."""
        with self._lock:
            self._last.clear()
