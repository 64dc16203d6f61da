"""Measures retrieval on questions of which the right passage is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.knowledge.retrieval import Mode, search
from mindbot_tasks.model.knowledge import Passage

MODES: tuple[Mode, ...] = ("dense", "lexical", "hybrid")
_DEEP = 10
#: the weights of the fusion and the thresholds were chosen on the first; the second was written before anybody saw how
#: it does, and nothing is chosen by it
SETS = {"tuning": "questions.jsonl", "held-out": "held_out.jsonl"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question; without a source it cannot be answered."""

    question: str
    source: str = ""  #: the end of the document's source
    says: str = ""  #: stands in the right passage

    @property
    def language(self) -> str:
        return "zh" if any("\u4e00" <= char <= "\u9fff" for char in self.question) else "en"

    def is_answered_by(self, passage: Passage) -> bool:
        return passage.source.endswith(self.source) and _plain(self.says) in _plain(passage.text)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one way to search, in one language or all ("")."""

    mode: Mode
    language: str
    questions: int
    hit_1: float
    hit_5: float
    mrr: float
    kept: float  #: answerable questions that were not refused
    refused: float  #: unanswerable questions that were

    def as_record(self) -> dict[str, Any]:
        return asdict(self)


def _plain(text: str) -> str:
    return " ".join(text.replace("`", "").replace("*", "").split()).lower()


def shipped(name: str = "tuning") -> list[Asked]:
    """Questions about MindBot's own documentation, by the name of the set."""
    return _parsed(files("mindbot_tasks.knowledge").joinpath("data", SETS[name]).read_bytes())


def read(path: Path) -> list[Asked]:
    """Raises SettingsError."""
    try:
        return _parsed(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise SettingsError(f"{path} cannot be read ({type(exc).__name__})") from None


def _parsed(content: bytes) -> list[Asked]:
    lines = [orjson.loads(line) for line in content.splitlines() if line.strip()]
    return [Asked(line["question"], line.get("source", ""), line.get("says", "")) for line in lines]


def rank_of(settings: Settings, asked: Asked, bases: Sequence[str], mode: Mode) -> int:
    """The place of the right passage, counted from 1; 0: it is not among the first ten."""
    found = search(settings, asked.question, bases, Deadline(30), mode=mode, limit=_DEEP, min_score=0.0)
    return next((place for place, passage in enumerate(found.passages, 1) if asked.is_answered_by(passage)), 0)


def measure(settings: Settings, questions: Sequence[Asked], bases: Sequence[str]) -> list[Figures]:
    """For each way to search: all languages together, then each."""
    report = []
    for mode in MODES:
        judged = []
        for asked in questions:
            kept = bool(search(settings, asked.question, bases, Deadline(30), mode=mode).passages)
            judged.append((asked, rank_of(settings, asked, bases, mode) if asked.source else 0, kept))
        report += [
            _figures(mode, language, [one for one in judged if language in ("", one[0].language)])
            for language in ("", *sorted({asked.language for asked in questions}))
        ]
    return report


def _figures(mode: Mode, language: str, judged: Sequence[tuple[Asked, int, bool]]) -> Figures:
    ranks = [rank for asked, rank, _ in judged if asked.source]
    known = [kept for asked, _, kept in judged if asked.source]
    unknown = [kept for asked, _, kept in judged if not asked.source]
    return Figures(
        mode, language, len(judged),
        _share(rank == 1 for rank in ranks), _share(1 <= rank <= 5 for rank in ranks),
        sum(1 / rank for rank in ranks if rank) / max(len(ranks), 1),
        _share(known), _share(not kept for kept in unknown),
    )  # fmt: skip


def _share(values: Any) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def missed(settings: Settings, questions: Sequence[Asked], bases: Sequence[str]) -> list[str]:
    """For people: what was asked, where the answer stands, and on which place it was found in each way."""
    told = []
    for asked in questions:
        found = search(settings, asked.question, bases, Deadline(30))
        if not asked.source:
            if found.passages:
                told.append(f"answered: {asked.question} ({found.passages[0].score:.2f} {found.passages[0].cited})")
            continue
        places = {mode: rank_of(settings, asked, bases, mode) for mode in MODES}
        if places["hybrid"] != 1 or not found.passages:
            told.append(f"{'' if found.passages else 'refused '}{asked.question} -> {asked.source} {places}")
    return told
