"""Vectors without any model: a text is the sum of its pieces, each at a place that its hash says.

No download, no numpy, the same on every machine. It knows no meanings; it finds what is written alike: other forms of a
word, words within words, Chinese without segmentation. What it misses is the business of the lexical index beside it.
"""

from __future__ import annotations

import functools
import math
import operator
import re
import unicodedata
import zlib
from collections import Counter
from itertools import pairwise

from mindbot_tasks.knowledge.terms import STOP_HAN, STOP_WORDS, stem

DIMENSION = 1024
ID = f"offline-ngrams-1/{DIMENSION}"
_WORDS = re.compile(r"[a-z0-9]+|[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_WHOLE, _PART, _PAIR, _CHAR = 1.0, 0.35, 1.0, 0.4


def embed(text: str) -> list[float]:
    """The vector of a text, of length 1; of an empty one, all zeros but the first."""
    words: Counter[str] = Counter(_WORDS.findall(unicodedata.normalize("NFKC", text).lower()))
    # a list for each weight, counted as a whole: a third of the time of a dictionary of pieces
    wholes: list[str] = []
    parts: list[str] = []
    pairs: list[str] = []
    chars: list[str] = []
    for word, count in words.items():
        if word.isascii():
            whole, inner = _parts(word)
            wholes += whole * count
            parts += inner * count
        else:
            chars += _chars(word) * count
            pairs += _pairs(word) * count
    vector = [0.0] * DIMENSION
    for pieces, weight in ((wholes, _WHOLE), (parts, _PART), (chars, _CHAR), (pairs, _PAIR)):
        for piece, count in Counter(pieces).items():
            place, sign = _place(piece)
            vector[place] += sign * weight if count == 1 else sign * weight * (1.0 + math.log(count))
    length = math.sqrt(sum(map(operator.mul, vector, vector)))
    if not length:
        return [1.0, *vector[1:]]
    return [round(value / length, 5) if value else 0.0 for value in vector]


@functools.lru_cache(maxsize=100_000)
def _place(piece: str) -> tuple[int, float]:
    hashed = zlib.crc32(piece.encode())
    return hashed % DIMENSION, 1.0 if hashed & 0x8000_0000 else -1.0


def _chars(run: str) -> list[str]:
    return [char for char in run if char not in STOP_HAN]


def _pairs(run: str) -> list[str]:
    """Of a run of Chinese, which is half a sentence and hardly comes again."""
    return [first + second for first, second in pairwise(run) if not (first in STOP_HAN and second in STOP_HAN)]


@functools.lru_cache(maxsize=20_000)
def _parts(word: str) -> tuple[list[str], list[str]]:
    """Of an English word: the whole, and what is in it."""
    if word in STOP_WORDS:
        return [], []
    edged = f"^{stem(word)}$"
    inner = [edged[at : at + size] for size in (3, 4) for at in range(len(edged) - size + 1)]
    # a short one is a part of its own
    return ([], [edged, *inner]) if edged in inner else ([edged], inner)
