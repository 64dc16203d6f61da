"""Vectors without any model: a text is the sum of its pieces, each at a place that its hash says.

No download, no numpy, the same on every machine. It knows no meanings; it finds what is written alike: other forms of a
word, words within words, Chinese without segmentation. What it misses is the business of the lexical index beside it.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
import zlib
from collections import Counter

from mindbot_tasks.knowledge.terms import STOP_HAN, STOP_WORDS, stem

DIMENSION = 1024
ID = f"offline-ngrams-1/{DIMENSION}"
_WORDS = re.compile(r"[a-z0-9]+|[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_WHOLE, _PART, _PAIR, _CHAR = 1.0, 0.35, 1.0, 0.4


def embed(text: str) -> list[float]:
    """The vector of a text, of length 1; of an empty one, all zeros but the first."""
    weights: dict[str, float] = {}
    counts: Counter[str] = Counter(_WORDS.findall(unicodedata.normalize("NFKC", text).lower()))
    pieces: Counter[str] = Counter()
    for word, count in counts.items():
        for piece, weight in _pieces(word):
            pieces[piece] += count
            weights[piece] = weight
    sums: dict[int, float] = {}
    for piece, count in pieces.items():
        place, sign = _place(piece)
        sums[place] = sums.get(place, 0.0) + sign * weights[piece] * (1.0 + math.log(count))
    length = math.sqrt(sum(value * value for value in sums.values()))
    vector = [0.0] * DIMENSION
    if not length:
        return [1.0, *vector[1:]]
    for place, value in sums.items():
        vector[place] = round(value / length, 5)
    return vector


@functools.lru_cache(maxsize=50_000)
def _place(piece: str) -> tuple[int, float]:
    hashed = zlib.crc32(piece.encode())
    return hashed % DIMENSION, 1.0 if hashed & 0x8000_0000 else -1.0


def _pieces(word: str) -> tuple[tuple[str, float], ...]:
    if word.isascii():
        return _parts(word)
    chars = [(char, _CHAR) for char in word if char not in STOP_HAN]
    pairs = [
        (word[at : at + 2], _PAIR)
        for at in range(len(word) - 1)
        if not (word[at] in STOP_HAN and word[at + 1] in STOP_HAN)
    ]
    return (*chars, *pairs)


@functools.lru_cache(maxsize=10_000)
def _parts(word: str) -> tuple[tuple[str, float], ...]:
    """Of an English word; a run of Chinese is half a sentence and hardly comes again."""
    if word in STOP_WORDS:
        return ()
    edged = f"^{stem(word)}$"
    parts = [(edged[at : at + size], _PART) for size in (3, 4) for at in range(len(edged) - size + 1)]
    return ((edged, _WHOLE), *parts)
