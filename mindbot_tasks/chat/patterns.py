"""Which workflows' patterns fit a text, and how well. Pure, and linear in the text's length."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import re2
import structlog

from mindbot_tasks.core.settings import WorkflowSettings

log = structlog.get_logger(__name__)

_MAX_CHARS = 4000  # what a message is about is said near its beginning
_STEM_CHARS = 4  # shorter words must stand alone: "hi" is not in "his", nor "data" in "date"
# what may follow a longer stem: classes, created, debugging, statistically; but not java + script or class + ic
_ENDING = re.compile(r"(?:s|es|d|ed|r|er|ers|rs|ing|ings|ly|ally|'s|’s|ion|ions|ment|ments)\Z")
_REST_OF_WORD = re.compile(r"[A-Za-z0-9_]+(?:['’]s)?|['’]s")


@dataclass(frozen=True, slots=True)
class Hit:
    """A workflow whose patterns were found."""

    score: float
    words: tuple[str, ...]  #: lower case, in the order of the patterns


@dataclass(frozen=True, slots=True)
class _Workflow:
    name: str
    patterns: tuple[Any, ...]


class Patterns:
    """The compiled patterns of some workflows."""

    def __init__(self, workflows: Mapping[str, WorkflowSettings]) -> None:
        self._workflows = tuple(
            _Workflow(name, tuple(_compile(name, settings.task_patterns)))
            for name, settings in workflows.items()
            if settings.task_patterns
        )

    def search(self, text: str) -> dict[str, Hit]:
        """The workflows whose patterns are there.

        Each pattern of a workflow that is found scores 1, and 0.5 more for each further of its words, up to 2.
        """
        start = text[:_MAX_CHARS]
        found: dict[str, Hit] = {}
        for workflow in self._workflows:
            words: list[str] = []
            score = 0.0
            for pattern in workflow.patterns:
                hits = _hits(pattern, start)
                if hits:
                    words += hits
                    score += min(2.0, 0.5 + 0.5 * len(hits))
            if score:
                found[workflow.name] = Hit(score, tuple(words))
        return found


def _compile(workflow: str, patterns: Iterable[str]) -> Iterable[Any]:
    options = re2.Options()
    options.case_sensitive = False
    options.longest_match = True  # of "java|javascript" the one that is there, whatever the order
    options.log_errors = False
    options.max_mem = 8 << 20
    for number, pattern in enumerate(patterns, 1):
        try:
            yield re2.compile(pattern, options)
        except re2.error:
            # `mindbot config check` refuses it; a running bot goes on with its other patterns
            log.warning("pattern_unusable", workflow=workflow, pattern_number=number)


def _hits(pattern: Any, text: str) -> list[str]:
    """Distinct words of the text that the pattern means, in lower case."""
    hits: dict[str, None] = {}
    for match in pattern.finditer(text):
        begin, end = match.span()
        if begin < end and _stands_alone(text, begin, end):
            hits[text[begin:end].lower()] = None
            if len(hits) == 4:
                break
    return list(hits)


def _stands_alone(text: str, begin: int, end: int) -> bool:
    """Whether a match is a word of its own, where the script has words: Chinese is matched anywhere."""
    if begin and _in_word(text[begin]) and _in_word(text[begin - 1]):
        return False
    if end == len(text) or not (_in_word(text[end - 1]) and _in_word(text[end])):
        return True
    rest = _REST_OF_WORD.match(text, end)
    if rest is None or end - begin < _STEM_CHARS:
        return False
    ending = rest[0].lower()
    if ending[0] == text[end - 1].lower() and len(ending) > 2:  # debug-ging, program-med
        ending = ending[1:]
    return _ENDING.match(ending) is not None


def _in_word(char: str) -> bool:
    return char == "_" or (char.isalnum() and char < "\u2e80")
