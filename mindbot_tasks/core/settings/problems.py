"""What is wrong with a configuration, and where: file, line, column and key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.words import Lang, Sentence


@dataclass(frozen=True, slots=True)
class Place:
    """A file with line and column (from 1), or a variable; line 0: the whole of it."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Problem:
    place: Place
    path: str  #: dotted key as the file has it; "" for the whole file
    what: Sentence
    hint: Sentence | None = None

    def text(self, lang: Lang = "en") -> str:
        """One line, for people."""
        key = f" {self.path}:" if self.path else ""
        hint = f" ({self.hint.in_(lang)})" if self.hint else ""
        return f"{self.place}:{key} {self.what.in_(lang)}{hint}"

    def __str__(self) -> str:
        return self.text()


class InvalidSettings(SettingsError):
    """All problems of a configuration; the text has one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.place.source, p.place.line, p.place.column, p.path)))
        super().__init__("\n".join(problem.text() for problem in self.problems))
