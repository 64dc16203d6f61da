"""What somebody asks to be remembered, in words: "remember that ...", "记住……". Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOST_CHARS = 2000
_ENGLISH = re.compile(
    r"(?:(?:please|pls|hey|ok|okay|also|and)[,\s]+|(?:can|could|would|will) you (?:please )?)*"
    r"(?:remember|memori[sz]e|keep in mind|note|don'?t forget)"
    r"(?:\s+(?:that|this)\s*[:：,-]?\s+|\s*[:：]\s*|\s+(?=(?:my|i|i'm|we|our|me|the fact)\b))(?P<fact>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_CHINESE = re.compile(
    r"(?:(?:请|麻烦|劳驾|帮我|你|您|要|一定要|给我|替我)\s*)*"
    r"(?:记住|记一下|记下来|记下|牢记|别忘了|不要忘记)(?!了吗|了没|过|的)(?:了|一下|这一点|这点|这个)?"
    r"\s*[:：,，。、]?\s*(?P<fact>\S.*)",
    re.DOTALL,
)
# what a sentence ends with; a full stop inside of a number or a name is none
_END = re.compile(r"[。！？!?\n]+\s*|[.;；]+(?:\s+|\Z)")
_QUESTION = re.compile(r"[?？]\s*\Z|[吗呢么]\s*[。!！]?\s*\Z")
#: "remember when we ...", "remember the movie": memories of people, not orders
_NO_FACT = re.compile(r"(?:when|how|who|what|where|why)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wish:
    """Something to remember."""

    fact: str
    alone: bool  #: nothing else was said, so nobody need be asked for an answer


def asked_to_remember(text: str) -> Wish | None:
    """What the text asks to remember; None if it does not.

    >>> asked_to_remember("Please remember that my team is called Blue.")
    Wish(fact='my team is called Blue', alone=True)
    >>> asked_to_remember("do you remember that movie?") is None
    True
    """
    start = text.strip()
    if not start or len(start) > _MOST_CHARS:
        return None
    # nearly every message ends here
    found = _CHINESE.match(start) if not start[0].isascii() else _ENGLISH.match(start)
    if found is None:
        return None
    said = found["fact"]
    end = _END.search(said)
    fact, rest = (said, "") if end is None else (said[: end.start()], said[end.end() :].strip())
    if end is not None and end[0][0] in "?？":
        return None  # "remember my birthday?"
    if rest and not _QUESTION.search(said):  # several sentences, none of them a question: all of it is meant
        return Wish(_tidy(said), alone=True) if _is_fact(said) else None
    if not _is_fact(fact) or _QUESTION.search(fact):
        return None
    return Wish(_tidy(fact), alone=not rest)


def _is_fact(text: str) -> bool:
    return bool(text.strip()) and _NO_FACT.match(text) is None


def _tidy(text: str) -> str:
    return " ".join(text.split()).rstrip(" .。!！;；")
