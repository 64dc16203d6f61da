"""The text of an answer while it grows, told on in pieces that are worth a look."""

from __future__ import annotations

import time

from mindbot_tasks.llm.base import OnText

_EVERY_CHUNKS = 8
_EVERY_S = 0.3
MAX_CHARS = 200_000  # more than any platform would show; a model that rambles on is cut here


class Visible:
    """Collects pieces; tells the first at once, then every 8 pieces or 300 ms, whichever is later."""

    def __init__(self, on_text: OnText, started: float) -> None:
        self.first_ms: int | None = None
        self._on_text = on_text
        self._started = started
        self._pieces: list[str] = []
        self._chars = 0
        self._told_at = 0.0
        self._untold = 0

    def add(self, piece: str) -> None:
        """One more piece of the answer."""
        if not piece or self._chars >= MAX_CHARS:
            return
        now = time.monotonic()
        if self.first_ms is None:
            self.first_ms = int((now - self._started) * 1000)
        self._pieces.append(piece)
        self._chars += len(piece)
        self._untold += 1
        if self._told_at == 0.0 or (self._untold >= _EVERY_CHUNKS and now - self._told_at >= _EVERY_S):
            self._tell(now)

    def replace(self, text: str) -> None:
        """The far side takes back everything so far."""
        self._pieces = [text]
        self._chars = len(text)
        self._tell(time.monotonic())

    def end(self) -> str:
        """The whole text, told a last time if that is news."""
        text = "".join(self._pieces)[:MAX_CHARS]
        self._pieces = [text]
        if self._untold:
            self._tell(time.monotonic())
        return text

    def _tell(self, now: float) -> None:
        text = "".join(self._pieces)
        self._pieces = [text]
        self._told_at = now
        self._untold = 0
        self._on_text(text)
