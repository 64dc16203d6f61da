"""Which workflow a message is for, by the patterns of the configuration. Pure, and linear in the text's length."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2
import structlog

from mindbot_tasks.core.settings import WorkflowSettings
from mindbot_tasks.model.answer import Classification

log = structlog.get_logger(__name__)

NO_MATCH = "general_chat"
_NO_MATCH_CONFIDENCE = 0.1
_MAX_CHARS = 4000  # what a message is about is said near its beginning
_STEM_CHARS = 4  # shorter words must stand alone: "hi" is not in "his", nor "data" in "date"
# what may follow a longer stem: classes, created, debugging, statistically; but not java + script or class + ic
_ENDING = re.compile(r"(?:s|es|d|ed|r|er|ers|rs|ing|ings|ly|ally|'s|’s|ion|ions|ment|ments)\Z")
_REST_OF_WORD = re.compile(r"[A-Za-z0-9_]+(?:['’]s)?|['’]s")


@dataclass(frozen=True, slots=True)
class _Workflow:
    name: str
    priority: int
    patterns: tuple[Any, ...]


class Classifier:
    """The compiled patterns of all enabled workflows."""

    def __init__(self, workflows: Mapping[str, WorkflowSettings]) -> None:
        self._workflows = tuple(
            _Workflow(name, settings.priority, tuple(_compile(name, settings.task_patterns)))
            for name, settings in workflows.items()
            if settings.enabled
        )

    @classmethod
    def of(cls, workflows: Mapping[str, WorkflowSettings], only: Sequence[str] = ()) -> Classifier:
        """The classifier of these settings, compiled once for as long as the settings stay the same.

        only: names of the workflows that may be found; empty: all.
        """
        global _latest
        if _latest is None or _latest[0] is not workflows:
            _latest = (workflows, {})
        known, wanted = _latest[1], tuple(only)
        if wanted not in known:
            known[wanted] = cls({name: one for name, one in workflows.items() if not wanted or name in wanted})
        return known[wanted]

    def classify(self, text: str, otherwise: str = "") -> Classification:
        """The workflow with the highest score; between equals the one with the lower priority number.

        Each pattern of a workflow that is found scores 1, and 0.5 more for each further of its words, up to 2.
        otherwise: the workflow for what fits none.
        """
        start = text[:_MAX_CHARS]
        found: dict[str, list[str]] = {}
        scores: dict[str, float] = {}
        for workflow in self._workflows:
            words: list[str] = []
            score = 0.0
            for pattern in workflow.patterns:
                hits = _hits(pattern, start)
                if hits:
                    words += hits
                    score += min(2.0, 0.5 + 0.5 * len(hits))
            if score:
                found[workflow.name], scores[workflow.name] = words, score
        if not scores:
            return Classification(otherwise or NO_MATCH, _NO_MATCH_CONFIDENCE, "no pattern matches")
        priorities = {workflow.name: workflow.priority for workflow in self._workflows}
        label = min(scores, key=lambda name: (-scores[name], priorities[name], name))
        score, total = scores[label], sum(scores.values())
        # half for how much speaks for it, half for how little speaks for others
        confidence = 0.5 * score / (score + 1) + 0.5 * score / total
        shown = ", ".join(dict.fromkeys(word[:30] for word in found[label][:4]))
        return Classification(
            label, round(confidence, 3), f"pattern: {shown}", {name: round(value, 3) for name, value in scores.items()}
        )


_latest: tuple[Mapping[str, WorkflowSettings], dict[tuple[str, ...], Classifier]] | None = None


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
