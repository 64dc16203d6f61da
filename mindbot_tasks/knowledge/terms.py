"""What a text consists of for who looks words up: English stems, Chinese characters and pairs of them; pure."""

from __future__ import annotations

import functools
import re
import unicodedata

_PIECES = re.compile(r"[a-z0-9]+(?:[._'’+#-]+[a-z0-9]+)*[+#]*|[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_INNER = re.compile(r"[._'’+#-]+")
_HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_COMMON = (
    "a about am an and any are as at be been being but by can could did do does doing done for from get give had has "
    "have he her his how i if in into is it its just let like may me might more most much my no nor not of off on one "
    "or our out over own please shall she should so some such tell than that the their them then there these they this "
    "those to too under up us was we were what when where which while who whom whose why will with would you your many "
    "the's it's what's i'm there's happen happens mean means need want know"
)
STOP_WORDS = frozenset(_COMMON.split())
STOP_HAN = frozenset(
    "的了吗呢吧啊么是在和与或及也就都还很请问我你您他她它们这那个些怎样如何什哪里为有没不会能可以要把被让给到从对"
)
_COMMON_PAIRS = (
    "什么 怎么 怎样 如何 哪里 哪个 哪些 为什 么样 请问 可以 能否 是否 多少 是什 么是 有什 "
    "一下 这个 那个 我们 你们 的是 吗我 了吗"
)
_STOP_PAIRS = frozenset(_COMMON_PAIRS.split())
LONGEST = 40


@functools.lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A word without its commonest endings; rough, and the same on both sides.

    >>> [stem(word) for word in ("retries", "retried", "queues", "queue", "running", "status", "caching", "cached")]
    ['retry', 'retry', 'queu', 'queu', 'run', 'status', 'cach', 'cach']
    """
    if len(word) < 4 or not word.isalpha():
        return word
    if word.endswith(("ies", "ied")):
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    return word


def terms(text: str) -> list[str]:
    """Every term, repeated as often as it occurs. Names such as `max_tokens` count whole and in parts."""
    found: list[str] = []
    for piece in _PIECES.findall(unicodedata.normalize("NFKC", text).lower()):
        if _HAN.match(piece):
            found += (char for char in piece if char not in STOP_HAN)
            pairs = (piece[at : at + 2] for at in range(len(piece) - 1))
            found += (pair for pair in pairs if pair not in _STOP_PAIRS)
            continue
        parts = _INNER.split(piece)
        found += (stem(part[:LONGEST]) for part in parts if part and part not in STOP_WORDS)
        if len(parts) > 1:
            found.append(piece[:LONGEST])
    return found
