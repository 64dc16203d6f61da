"""What a follow-up asks for, in words that can be looked up: "what about the second one?" says little itself; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mindbot_tasks.model.answer import Turn

_BACK = 3  #: questions that may be follow-ups of each other
_LONGEST = 400
_FEW_WORDS = 3
#: (most words, signs): it points at something that was said before; in long questions such words point within
_POINTING = tuple(
    (most, re.compile(signs, re.I))
    for most, signs in (
        (12, r"^\s*(?:and|but|or|so|then|also|what about|how about|what else)\b"),
        (12, r"\bthe (?:first|second|third|fourth|fifth|last|other|same)(?: one)?\s*[?.]?$"),
        (12, r"\b(?:in|into) (?:english|chinese)\s*[?.]?$"),
        (4, r"^\s*(?:why|how so|which one|who|where|when)\b"),
        (8, r"\b(?:it|its|they|them|their|those|these|this one|that one)\b|\bthat\s*[?.]?$"),
        (12, r"^\s*(?:那|还有|然后|另外|再说|所以|但是|比如|举个例子|第[一二三四五六七八九十\d]+[个种条点])"),
        (12, r"它|这个|那个|这些|那些|前者|后者|上面|上述|刚才|前面|用(?:中文|英文)|(?:中文|英文)(?:呢|怎么说)"),
        (5, r"^\s*(?:为什么|具体|继续|怎么说)|呢\s*[?？]?\s*$"),
    )
)
#: words that point, but cannot be looked up
_EMPTY = re.compile(
    r"\b(?:what about|how about|what else|and|but|so|then|also|the|one|it|its|they|them|that|those|these|this|please)\b"
    r"|\b(?:in|into) (?:english|chinese)\b"
    r"|用(?:中文|英文)(?:说|回答)?|(?:中文|英文)(?:呢|怎么说)|还有|然后|另外|它们?|这个|那个|这些|那些|上面|上述|刚才|前面|呢",
    re.I,
)
_ORDINALS = {
    word: place
    for place, words in enumerate(
        ("first 1st 第一 第1", "second 2nd 第二 第2", "third 3rd 第三 第3", "fourth 4th 第四 第4", "fifth 5th 第五 第5")
    )
    for word in words.split()
}
_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)、])\s+(.{2,200})$", re.M)
_WORD = re.compile(r"[a-z0-9][a-z0-9_.'-]*|[\u4e00-\u9fff]", re.I)


def points_back(text: str) -> bool:
    """Whether it cannot be understood without what was said before.

    >>> [points_back(text) for text in ("and in Chinese?", "第二个呢?", "How do I connect DingTalk in Stream mode?")]
    [True, True, False]
    """
    size = _size(text)
    return any(size <= most and signs.search(text) for most, signs in _POINTING)


def is_short(text: str) -> bool:
    """Whether it may need what was said before."""
    return _size(text) <= _FEW_WORDS


def _size(text: str) -> float:
    """In words; two Chinese characters are about one."""
    words = _WORD.findall(text[:1000])
    return sum(0.5 if "\u4e00" <= word <= "\u9fff" else 1 for word in words)


def in_full(text: str, history: Sequence[Turn]) -> str:
    """The question with the one that it follows; as it is where nothing was asked before."""
    before = []
    for turn in reversed([turn for turn in history if turn.role == "user" and turn.text.strip()][-_BACK:]):
        before.append(turn.text.strip()[:_LONGEST])
        if not points_back(turn.text):
            break
    if not before:
        return text
    own = " ".join(_EMPTY.sub(" ", text).split()).strip(" ?？,，.。")
    return " ".join(part for part in (own, _item(text, history), *before) if part)[: 3 * _LONGEST]


def _item(text: str, history: Sequence[Turn]) -> str:
    """What "the second one" was in the list of the last answer."""
    lowered = text.lower()
    place = next((place for word, place in _ORDINALS.items() if word in lowered), None)
    said = next((turn.text for turn in reversed(history) if turn.role == "assistant"), "")
    items = _ITEM.findall(said) if place is not None else []
    return items[place] if place is not None and place < len(items) else ""
