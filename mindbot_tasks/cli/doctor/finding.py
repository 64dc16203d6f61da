"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mindbot_tasks.core.words import Lang, Sentence

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do about it."""

    level: Level
    what: str  #: a stable name, such as "database" or "workflows.translation"
    text: Sentence
    advice: Sentence | None = None

    def as_record(self, lang: Lang) -> dict[str, Any]:
        """For programs."""
        advice = self.advice.in_(lang) if self.advice else None
        return {"level": self.level, "what": self.what, "text": self.text.in_(lang), "advice": advice}


def ok(what: str, key: str, **fields: object) -> Finding:
    """All is well."""
    return Finding("ok", what, Sentence(f"doctor.{key}", **fields))


def warn(what: str, key: str, advice: str, **fields: object) -> Finding:
    """It works, but not as it should; `key` and `advice` take the same fields."""
    return Finding("warn", what, Sentence(f"doctor.{key}", **fields), Sentence(f"doctor.{advice}", **fields))


def fail(what: str, key: str, advice: str, **fields: object) -> Finding:
    """It keeps MindBot from working."""
    return Finding("fail", what, Sentence(f"doctor.{key}", **fields), Sentence(f"doctor.{advice}", **fields))
