"""An utterance as somebody in a hurry writes it: abbreviations, slips of the finger, a greeting in front. For training.

Pure, and always the same for the same text.
"""

from __future__ import annotations

import random
import zlib

_SHORT = {
    "you": "u", "are": "r", "please": "pls", "thanks": "thx", "for": "4", "your": "ur", "about": "abt", "and": "n",
    "with": "w", "between": "btw", "tomorrow": "tmrw", "why": "y", "something": "smth",
}  # fmt: skip
_BEFORE = {
    "en": ("hi, ", "hey ", "hello, ", "hi there, ", "good morning, ", "quick question: "),
    "zh": ("你好，", "在吗，", "麻烦", "请问", "老师好 ", "大佬 ", "hi "),
}
_AFTER = {"en": (" pls", " thx", " please", " thanks!", "??"), "zh": (" 谢谢", "啊", "呗", " 急", "咋整", "~")}
_SPOKEN = (("什么", "啥", 0.5), ("怎么", "咋", 0.4), ("一下", "下", 0.5))


def careless(text: str, lang: str) -> str:
    """The same request, less well written."""
    chance = random.Random(zlib.crc32(text.encode()))  # noqa: S311 - nothing secret
    text = _hurried_zh(text, chance) if lang == "zh" else _hurried_en(text, chance)
    key = "zh" if lang == "zh" else "en"
    if chance.random() < 0.25:
        text = chance.choice(_BEFORE[key]) + text
    if chance.random() < 0.25:
        text += chance.choice(_AFTER[key])
    return text


def _hurried_en(text: str, chance: random.Random) -> str:
    words = []
    for word in text.split():
        bare = word.lower().strip("?.,!")
        if bare in _SHORT and chance.random() < 0.6:
            word = _SHORT[bare]
        elif len(word) > 5 and word.isalpha() and chance.random() < 0.15:
            at = chance.randrange(1, len(word) - 2)
            slip = word[at + 1] + word[at] if chance.random() < 0.5 else word[at + 1]
            word = word[:at] + slip + word[at + 2 :]
        words.append(word)
    text = " ".join(words)
    return text.lower().rstrip(".?!").replace("'", "") if chance.random() < 0.5 else text


def _hurried_zh(text: str, chance: random.Random) -> str:
    if chance.random() >= 0.5:
        return text
    text = text.rstrip("。？！?!").replace("，", " ")
    for said, hurried, share in _SPOKEN:
        if chance.random() < share:
            text = text.replace(said, hurried)
    return text
