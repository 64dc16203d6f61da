"""What can be seen to be wrong with an answer without understanding it. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mindbot_tasks.chat.language import detect

#: how the vendors say that the answer was longer than it was allowed to be
_CUT = frozenset({"length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens"})
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{\{[^{}]{1,60}\}\}|\[(?:insert|your|插入|填写)[^\]]{0,40}\]|\bTODO\b", re.IGNORECASE)
_LOOKED_AT = 6000  # characters; the rest would not change the verdict
_LONG_QUESTION = 40
_SAME_LINES = 4
_ENOUGH_FOR_LANGUAGE = 60


def findings(question: str, answer: str, details: Mapping[str, Any]) -> list[str]:
    """truncated, unclosed_code, repeated, wrong_language, too_short, placeholder; in this order."""
    text = answer[:_LOOKED_AT]
    found = []
    if str(details.get("finish") or "") in _CUT:
        found.append("truncated")
    if len(answer) <= _LOOKED_AT and "`" in text and len(_FENCE.findall(text)) % 2:
        found.append("unclosed_code")
    if _repeats(text):
        found.append("repeated")
    if _in_another_language(question, text):
        found.append("wrong_language")
    if len(answer.strip()) < 3 and len(question) > _LONG_QUESTION:
        found.append("too_short")
    if ("[" in text or "{{" in text or "TODO" in text) and _PLACEHOLDER.search(text):
        found.append("placeholder")
    return found


def _repeats(text: str) -> bool:
    """The same line again and again, or an ending that goes round in circles."""
    if text.count("\n") >= _SAME_LINES:
        lines = Counter(line.strip() for line in text.splitlines() if len(line.strip()) > 15)
        if lines and lines.most_common(1)[0][1] >= _SAME_LINES:
            return True
    if len(text) < 200:
        return False
    if text.rpartition("\n\n")[2].lstrip().startswith("|"):  # a table
        return False
    tail = text[-20:]  # what a model that is stuck says ends with itself
    return bool(tail.strip("-=*_~.·… \n|#")) and text[-400:].count(tail) >= _SAME_LINES


def _in_another_language(question: str, answer: str) -> bool:
    """Asked in Chinese and answered without a word of it, or the other way round; not so code and translations."""
    if len(answer) < _ENOUGH_FOR_LANGUAGE or "`" in answer or not question.strip():
        return False
    asked = detect(question)
    if asked == detect(answer) or _TRANSLATES.search(question):
        return False
    if asked == "zh":
        return not any("\u4e00" <= char <= "\u9fff" for char in answer)
    return any(char.isalpha() and char.isascii() for char in question)


_TRANSLATES = re.compile(
    r"translat|chinese|english|in (?:french|german|japanese|spanish)|mandarin|翻译|英文|英语|中文|日语|法语|译",
    re.IGNORECASE,
)
