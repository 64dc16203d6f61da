"""What people see while the agent works: a short line for each tool, and the text as it grows."""

from __future__ import annotations

import threading
import time

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm.base import OnText
from mindbot_tasks.llm.visible import LONG_CHARS, LONG_EVERY_S, MAX_CHARS

_MAX_LINES = 12


class Showing:
    """Tools run in threads of their own, and some are left behind: after `end` nothing is told any more."""

    def __init__(self, on_text: OnText, language: Lang) -> None:
        self.first_ms: int | None = None
        self._on_text = on_text
        self._language = language
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._ended = False
        self._steps: list[tuple[str, str]] = []  #: tool and state
        self._pieces: list[str] = []
        self._chars = 0
        self._told_at = 0.0

    def begin_text(self) -> None:
        """A model begins to speak; what it, or another one, said before is not the answer."""
        with self._lock:
            self._pieces, self._chars = [], 0

    def add(self, piece: str) -> None:
        """One more piece of the text."""
        with self._lock:
            if not piece or self._ended or self._chars >= MAX_CHARS:
                return
            now = time.monotonic()
            if self.first_ms is None:
                self.first_ms = int((now - self._started) * 1000)
            self._pieces.append(piece)
            self._chars += len(piece)
            if self._chars < LONG_CHARS or now - self._told_at >= LONG_EVERY_S:
                self._told_at = now
                self._tell()

    def begin_step(self, tool: str) -> int:
        """A tool begins; returns what to name it by at its end."""
        with self._lock:
            self._steps.append((tool, "running"))
            self._tell()
            return len(self._steps) - 1

    def end_step(self, step: int, *, ok: bool) -> None:
        with self._lock:
            self._steps[step] = (self._steps[step][0], "ok" if ok else "failed")
            self._tell()

    def end(self) -> None:
        """Nothing more is told."""
        with self._lock:
            self._ended = True

    def _tell(self) -> None:
        if self._ended:
            return
        lines = [say(f"agent.step_{state}", self._language, tool=tool) for tool, state in self._steps[-_MAX_LINES:]]
        text = "".join(self._pieces)
        self._pieces = [text]
        self._on_text("\n\n".join(part for part in ("  \n".join(lines), text) if part))
