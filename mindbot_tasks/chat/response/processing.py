"""All that becomes of questions and answers of a bot, in its order: thinking, words, links, personal data, quality."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from mindbot_tasks.chat.response import quality
from mindbot_tasks.chat.response.banned import BannedWords
from mindbot_tasks.chat.response.links import LinkFilter
from mindbot_tasks.chat.response.pii import PiiFilter
from mindbot_tasks.chat.response.refusal import is_refusal
from mindbot_tasks.chat.response.thinking import without_thinking
from mindbot_tasks.core.settings import ResponseSettings, Settings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm.base import OnText, Question
from mindbot_tasks.model.answer import Answer

#: a growing text is looked at no more often than that while filters are on; nobody is shown more
_EVERY_S = 0.1


class _Filter(Protocol):
    def undecided(self, text: str) -> int: ...

    def clean(self, text: str) -> tuple[str, int]: ...


class Processing:
    """What one bot does to questions and answers; built once, for all its messages."""

    def __init__(self, settings: ResponseSettings, secret: str = "") -> None:
        words, pii = settings.words, settings.pii
        self._settings = settings
        self._words_in = BannedWords([*words.questions, *_lines_of(words.question_files)])
        self._words_out = BannedWords([*words.answers, *_lines_of(words.answer_files)])
        personal = PiiFilter(pii, secret) if pii.kinds else None
        self._pii_in = personal if pii.questions else None
        links = LinkFilter(
            unsafe=settings.unsafe_links == "remove",
            private=settings.private_links == "remove",
            image_hosts=tuple(host.lower().removeprefix("*.") for host in settings.image_hosts),
        )
        self._filters: tuple[tuple[str, _Filter], ...] = (
            # a masked address no longer tells where a link leads
            *((("links", links),) if links != LinkFilter(unsafe=False) else ()),
            *((("personal_data", personal),) if personal is not None and pii.answers else ()),
        )
        self._often = not (personal is not None and pii.answers) and not self._words_out

    def stops(self, question: Question) -> bool:
        """Whether the question holds what must not come in."""
        return (
            bool(self._words_in) and self._settings.words.action == "block" and bool(self._words_in.find(question.text))
        )

    def refusal(self, language: Lang) -> str:
        """What is said in place of what was blocked."""
        return self._settings.words.reply or say("response.blocked", language)

    def for_models(self, question: Question) -> Question:
        """The question as models and workflows get it."""
        if self._pii_in is None and not self._words_in:
            return question
        tidy = self._tidy
        return replace(
            question,
            text=tidy(question.text),
            history=tuple(replace(turn, text=tidy(turn.text)) for turn in question.history),
            summary=tidy(question.summary),
            facts=tuple(replace(fact, text=tidy(fact.text)) for fact in question.facts),
        )

    def _tidy(self, text: str) -> str:
        if self._words_in:
            text, _ = self._words_in.mask(text)
        return self._pii_in.clean(text)[0] if self._pii_in is not None else text

    def growing(self, on_text: OnText) -> OnText:
        """Shows of a growing answer what will also be in the whole one."""
        shown_at = 0.0

        def show(text: str) -> None:
            nonlocal shown_at
            if not self._often:
                now = time.monotonic()
                if now - shown_at < _EVERY_S:
                    return
                shown_at = now
            if visible := self.visible(text):
                on_text(visible)

        return show

    def visible(self, text: str) -> str:
        """What may be shown of the beginning of an answer."""
        if self._settings.strip_thinking:
            text = without_thinking(text, growing=True)
        if self._words_out:
            text = text[: self._words_out.undecided(text)]
            found = self._words_out.find(text)
            if found and self._settings.words.action == "block":
                text = text[: found[0][0]]
            elif found:
                text, _ = self._words_out.mask(text)
        for _, each in self._filters:
            text, _ = each.clean(text[: each.undecided(text)])
        return text

    def whole(self, text: str, language: Lang) -> tuple[str, list[str]]:
        """A whole answer as it is sent, and what was done to it."""
        done = []
        if self._settings.strip_thinking:
            before = text
            text = without_thinking(text)
            done += ["thinking"] if text is not before and text != before else []
        if self._words_out:
            found = self._words_out.find(text)
            if found and self._settings.words.action == "block":
                return self.refusal(language), [*done, "blocked"]
            if found:
                text, _ = self._words_out.mask(text)
                done.append("words")
        for name, each in self._filters:
            text, count = each.clean(text)
            done += [name] if count else []
        return text, done

    def accept(self, answer: Answer) -> str:
        """What is wrong with an answer, so that somebody else is asked: "empty", "refusal" or nothing ("")."""
        if self._settings.ask_again == "never":
            return ""
        text = without_thinking(answer.text) if self._settings.strip_thinking else answer.text
        if not text.strip():
            return "" if answer.parts else "empty"
        return "refusal" if self._settings.ask_again == "refusal" and is_refusal(text) else ""

    def finished(self, answer: Answer, question: Question) -> Answer:
        """The answer as it is kept and sent; `details` say what was noticed (quality) and what was done (filtered)."""
        text, done = self.whole(answer.text, question.language)
        details: dict[str, Any] = {}
        if done:
            details["filtered"] = done
        if self._settings.quality and (found := quality.findings(question.text, text, answer.details)):
            details["quality"] = found
        if not details and text == answer.text:
            return answer
        return replace(answer, text=text, details={**answer.details, **details})


def findings_of(answer: Answer) -> list[str]:
    """What was noticed about a finished answer, and done to it; for metrics."""
    found = [answer.details.get(key) for key in ("quality", "filtered")]
    return [str(one) for each in found if isinstance(each, list) for one in each]


def processing_of(settings: Settings, platform: str, bot: str) -> Processing:
    """That of a bot; built once for as long as the settings stay the same."""
    global _built
    if _built is None or _built[0] is not settings:
        _built = (settings, {})
    known = _built[1]
    if (platform, bot) not in known:
        known[platform, bot] = Processing(settings.response_of(platform, bot), settings.secret_key.get_secret_value())
    return known[platform, bot]


_built: tuple[Settings, dict[tuple[str, str], Processing]] | None = None


def _lines_of(files: list[str]) -> list[str]:
    lines: list[str] = []
    for name in files:
        lines += [line for line in Path(name).read_text(encoding="utf-8-sig").splitlines() if not line.startswith("#")]
    return lines
