"""The text of an answer while it grows."""

from __future__ import annotations

import time

from mindbot_tasks.llm.base import OnText

MAX_CHARS = 200_000  # more than any platform would show; a model that rambles on is cut here
LONG_CHARS = 20_000
LONG_EVERY_S = 0.3  # a long text is not copied for every piece


class Visible:
    """Collects pieces and tells the whole text so far; whoever listens decides how often to show it."""

    def __init__(self, on_text: OnText, started: float) -> None:
        self.first_ms: int | None = None
        self._on_text = on_text
        self._started = started
        self._pieces: list[str] = []
        self._chars = 0
        self._told_at = 0.0
        self._untold = False

    def add(self, piece: str) -> None:
        """One more piece of the answer."""
        if not piece or self._chars >= MAX_CHARS:
            return
        now = time.monotonic()
        if self.first_ms is None:
            self.first_ms = int((now - self._started) * 1000)
        self._pieces.append(piece)
        self._chars += len(piece)
        self._untold = True
        if self._chars < LONG_CHARS or now - self._told_at >= LONG_EVERY_S:
            self._told_at = now
            self._tell()

    def replace(self, text: str) -> None:
        """The far side takes back everything so far."""
        self._pieces = [text]
        self._chars = len(text)
        self._tell()

    def end(self) -> str:
        """The whole text, told a last time if that is news."""
        if self._untold:
            self._tell()
        return "".join(self._pieces)[:MAX_CHARS]

    def _tell(self) -> None:
        text = "".join(self._pieces)[:MAX_CHARS]
        self._pieces = [text]
        self._untold = False
        self._on_text(text)
