"""Where a growing text ends with something that is not complete yet. Pure."""

from __future__ import annotations

_PRINTABLE = frozenset(map(chr, range(0x21, 0x7F)))
_NUMBERS = frozenset("0123456789+-.()（）")


def fold_width(text: str) -> str:
    """Full-width letters, digits and signs as ASCII; every character stays at its place."""
    return text if text.isascii() else text.translate(_FOLDED)


_FOLDED = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def trailing_run(text: str) -> int:
    """Where the last run of letters, digits and signs begins: a word, an address, a number that may be in groups.

    In it is whatever may still become longer. Chinese characters and blanks end a run, but for a blank within a number.
    """
    at = len(text)
    while at > 0:
        char = text[at - 1]
        if char in _PRINTABLE or (
            char == " " and at > 1 and text[at - 2] in _NUMBERS and (at == len(text) or text[at] in _NUMBERS)
        ):
            at -= 1
        else:
            break
    return at
