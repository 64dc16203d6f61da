"""Personal data by its shape: e-mail addresses, phone numbers, Chinese identity cards, bank cards, IP addresses. Pure.

Patterns run on RE2, in linear time; what they find must also pass its checksum, or its range, and stand by itself.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

from mindbot_tasks.chat.response.runs import fold_width, trailing_run
from mindbot_tasks.chat.response.searching import find_all
from mindbot_tasks.core.settings import PiiKind, PiiSettings

_PATTERNS: dict[PiiKind, str] = {
    "email": r"[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62})(?:\.[A-Za-z0-9\-]{1,63})+",
    "id_card": r"[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]",
    "bank_card": r"\d(?:[ \-]?\d){12,18}",
    "phone": (
        r"(?:\+?86[ \-]?)?1[3-9]\d[ \-]?\d{4}[ \-]?\d{4}"  # a mobile in China
        r"|0\d{2,3}-\d{7,8}"  # a fixed line there
        r"|\+\d{1,3}[ \-.]?(?:\(\d{1,4}\)|\d{1,4})(?:[ \-.]?\d{2,4}){2,4}"  # with a country's code
        r"|\(?\d{3}\)?[ \-.]\d{3}[ \-.]\d{4}"  # North America
    ),
    "ip": r"\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}",
}
#: what is looked for first keeps what it found
_ORDER: tuple[PiiKind, ...] = ("email", "id_card", "bank_card", "phone", "ip")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_LABELS: dict[PiiKind, str] = {
    "email": "EMAIL",
    "id_card": "ID_CARD",
    "bank_card": "BANK_CARD",
    "phone": "PHONE",
    "ip": "IP",
}


class PiiFilter:
    """Replaces personal data as the settings say."""

    def __init__(self, settings: PiiSettings, secret: str) -> None:
        self._kinds = tuple(kind for kind in _ORDER if kind in settings.kinds)
        replacements: dict[str, Callable[[PiiKind, str], str]] = {
            "redact": _redacted,
            "mask": _masked,
            "hash": functools.partial(_hashed, secret),
        }
        self._replacement = replacements[settings.action]

    def undecided(self, text: str) -> int:
        """From here on a growing text cannot be judged yet."""
        return trailing_run(fold_width(text))

    def clean(self, text: str) -> tuple[str, int]:
        """The text without personal data, and how much of it there was."""
        found = self._find(fold_width(text))
        if not found:
            return text, 0
        pieces, at = [], 0
        for begin, end, kind in found:
            pieces += [text[at:begin], self._replacement(kind, text[begin:end])]
            at = end
        return "".join([*pieces, text[at:]]), len(found)

    def _find(self, text: str) -> list[tuple[int, int, PiiKind]]:
        taken: list[tuple[int, int, PiiKind]] = []
        for kind in self._kinds:

            def passes(begin: int, end: int, kind: PiiKind = kind) -> bool:
                return _stands_alone(text, begin, end, kind) and _holds(kind, text[begin:end])

            found = [(begin, end, kind) for begin, end in find_all(_pattern(kind), text, passes)]
            taken = _merged(taken, found) if taken else found
        return taken


def _merged(
    taken: list[tuple[int, int, PiiKind]], found: list[tuple[int, int, PiiKind]]
) -> list[tuple[int, int, PiiKind]]:
    """Both in order; what was taken first stays, and nothing that overlaps it is added."""
    merged: list[tuple[int, int, PiiKind]] = []
    firsts = {begin for begin, _, _ in taken}
    for one in sorted([*taken, *found], key=lambda one: (one[0], one[0] not in firsts)):
        if not merged or one[0] >= merged[-1][1]:
            merged.append(one)
        elif one[0] in firsts and merged[-1][0] not in firsts:
            merged[-1] = one
    return merged


@functools.cache
def _pattern(kind: PiiKind) -> Any:
    import re2  # only a process that looks for personal data pays for it

    options = re2.Options()
    options.log_errors = False
    options.longest_match = True
    return re2.compile(_PATTERNS[kind], options)


def _stands_alone(text: str, begin: int, end: int, kind: PiiKind) -> bool:
    """Whether it is not a part of a longer number, word or address."""
    before = text[begin - 1] if begin else " "
    after = text[end] if end < len(text) else " "
    if kind == "email":
        return not _in_word(before) and not _in_word(after) and after != "@"
    if kind == "ip":
        follows = text[end : end + 2]
        return not (_in_word(before) or before in ".:") and not (
            _in_word(after) or after == ":" or (follows[:1] == "." and follows[1:].isdigit())
        )
    # "tel13800138000" is a number too
    return not before.isdigit() and not after.isdigit()


def _in_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")


def _holds(kind: PiiKind, found: str) -> bool:
    if kind == "id_card":
        total = sum(int(digit) * weight for digit, weight in zip(found, _ID_WEIGHTS, strict=False))
        return _ID_CHECKS[total % 11] == found[-1].upper()
    if kind == "bank_card":
        return _luhn([int(char) for char in found if char.isdigit()])
    if kind == "ip":
        try:
            ipaddress.ip_address(found)
        except ValueError:
            return False
        return found not in ("::", "0.0.0.0")
    return True


def _luhn(digits: Sequence[int]) -> bool:
    doubled = [digit if number % 2 == 0 else (digit * 2 - 9 if digit > 4 else digit * 2)
               for number, digit in enumerate(reversed(digits))]  # fmt: skip
    return any(digits) and sum(doubled) % 10 == 0


def _redacted(kind: PiiKind, found: str) -> str:
    return f"[{_LABELS[kind]}]"


def _masked(kind: PiiKind, found: str) -> str:
    if kind == "email":
        name, _, host = found.partition("@")
        return f"{name[0]}***@{host}"
    shown = {"phone": 4, "bank_card": 4, "id_card": 4}.get(kind, 0)
    places = [at for at, char in enumerate(found) if char.isalnum()]
    kept = set(places[len(places) - shown :]) if shown else set()
    return "".join("*" if at in places and at not in kept else char for at, char in enumerate(found))


def _hashed(secret: str, kind: PiiKind, found: str) -> str:
    """The same label for the same value; without the key nobody can try all numbers."""
    plain = "".join(char for char in fold_width(found).lower() if char not in " -().")
    digest = hmac.new(secret.encode() or b"mindbot", plain.encode(), hashlib.sha256).hexdigest()[:8]
    return f"[{_LABELS[kind]}:{digest}]"
