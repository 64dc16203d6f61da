"""Whether a text is Chinese or English, for the words of the bot's own. Pure."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["zh", "en"]

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LATIN_WORD = re.compile(r"[A-Za-z]+")
_ENOUGH = 2000  # characters; more would not change the verdict


def detect(text: str) -> Language:
    """ "zh" if there are at least as many Chinese characters as Latin words, and any at all."""
    start = text[:_ENOUGH]
    han = len(_HAN.findall(start))
    return "zh" if han and han >= len(_LATIN_WORD.findall(start)) else "en"
