"""What the learned classifier sees in a text: parts of words, words, pairs of words, concepts and the text's shape.

Pure Python, linear in the length of what is looked at. Training and use share it, so they cannot see different things.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from mindbot_tasks.chat.learned.concepts import concepts

#: a version that was trained with other features cannot be used
VERSION = 1
#: what a message is about is said near its beginning or at its very end
HEAD_CHARS = 360
TAIL_CHARS = 120
_MOST_PAIRS = 10  # concepts of which every pair counts

_TOKEN = re.compile(
    r"(?P<code>```|[{};]\s*$|\bdef \w+\(|\bselect\b.+\bfrom\b|\w+\([^)\s]*\)|</?\w+>|=>|[!=]=|\w+\.\w+\(|console\.log)"
    r"|(?P<url>https?://\S+)"
    r"|(?P<name>[a-z]*__\w+|[a-z]+(?:_[a-z0-9]+)+|[a-z]+(?:error|exception)\b)"
    r"|(?P<formula>\b\d*[a-z]\s?[-+*/^=²]\s?\d*[a-z0-9]\b|\d\s?[-+*/×÷^=]\s?\d)"
    r"|(?P<file>[\w\-]{1,40}\.(?:[a-z]{1,4}\d?)\b)"
    r"|(?P<word>[a-z]+(?:[+#]{1,2}(?![a-z])|'[a-z]+)?)"
    r"|(?P<number>\d+(?:[.,]\d+)*%?)"
    r"|(?P<han>[\u3400-\u9fff\uf900-\ufaff]+)"
    r"|(?P<mark>[?!])",
    re.MULTILINE,
)
_FILE_KINDS = {
    kind: name
    for name, kinds in {
        "document": "pdf doc docx ppt pptx txt md odt rtf html htm eml png jpg jpeg",
        "data": "csv xls xlsx tsv ods parquet json",
        "code": "py js ts java c cpp h cs go rs rb php sh sql yml yaml vue jsx tsx log ipynb kt swift css xml toml",
    }.items()
    for kind in kinds.split()
}
_ENDINGS = ("s", "es", "ed", "d", "ing", "er", "ers", "ly")
_WORD_CONCEPTS = concepts()
_LONGEST_HAN = 5


def normal(text: str) -> str:
    """One form of letters, lower case; the beginning and the end of a long text."""
    if len(text) > HEAD_CHARS + TAIL_CHARS:
        text = f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    return unicodedata.normalize("NFKC", text).lower().replace("’", "'")


def features(text: str) -> list[str]:
    """Everything seen in `text`, in its order; what is seen twice stands here twice."""
    text = normal(text)
    seen: list[str] = []
    meant: dict[str, None] = {}
    before = "^"
    han = words = numbers = 0
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup or "", match[0]
        if kind == "word":
            words += 1
            seen.append(f"w:{token}")
            seen.append(f"{before} {token}")
            before = token
            if len(token) > 2:
                seen += _pieces(f" {token} ", 3, 5)
            for concept in _concepts_of(token):
                meant[concept] = None
        elif kind == "han":
            han += len(token)
            seen += _pieces(token, 1, 4)
            seen.append(f"^{token[:2]}" if not seen_before(before) else f"+{token[:1]}")
            seen.append(f"{token[-2:]}$")
            for concept in _han_concepts(token):
                meant[concept] = None
            before = token[-1]
        elif kind == "number":
            numbers += 1
            seen.append("#%" if token.endswith("%") else f"#{min(len(token), 5)}")
            before = "#"
        elif kind == "file":
            ending = token.rpartition(".")[2]
            seen.append(f"file:{_FILE_KINDS.get(ending, 'other')}")
            seen.append(f"w:{ending}")
            meant[f"file_{_FILE_KINDS.get(ending, 'other')}"] = None
            before = "file"
        else:
            seen.append(f"<{kind}>" if kind != "mark" else token)
            if kind is not None and kind != "mark":
                meant[kind] = None
            if kind == "name":
                seen += (f"w:{part}" for part in token.split("_") if part)
    if numbers:
        meant[f"numbers_{min(numbers, 3)}"] = None
    seen += [f"c:{concept}" for concept in meant]
    some = sorted(meant)[:_MOST_PAIRS]
    seen += [f"c:{one}&{other}" for number, one in enumerate(some) for other in some[number + 1 :]]
    size = words + han // 2
    seen.append(f"size:{0 if size < 2 else 1 if size < 4 else 2 if size < 8 else 3 if size < 16 else 4}")
    if not meant:
        seen.append("c:none")
    return seen


def counts_for(feature: str) -> float:
    """What a feature counts by its kind: parts of English words and pairs of concepts are many, and say little each.

    A trained version holds it already, so a change here concerns only those that are trained later.
    """
    if feature.startswith("c:"):
        return 0.7 if "&" in feature else 1.0
    if feature.startswith(("w:", "#", "<", "size:", "file:")):
        return 1.0
    if not feature.isascii():
        return 1.0
    return 1.4 if " " in feature.strip() else 0.5


def seen_before(before: str) -> bool:
    """Whether anything was seen before."""
    return before != "^"


def _pieces(text: str, shortest: int, longest: int) -> Iterator[str]:
    length = len(text)
    for size in range(shortest, longest + 1):
        for begin in range(length - size + 1):
            yield text[begin : begin + size]


def _concepts_of(word: str) -> tuple[str, ...]:
    found = _WORD_CONCEPTS.get(word)
    if found is None:
        for ending in _ENDINGS:
            if word.endswith(ending) and (found := _WORD_CONCEPTS.get(word[: -len(ending)])):
                return found
    return found or ()


def _han_concepts(text: str) -> Iterator[str]:
    """By the longest words that are there; a word inside a longer one that was found does not count."""
    at, length = 0, len(text)
    while at < length:
        for size in range(min(_LONGEST_HAN, length - at), 0, -1):
            if found := _WORD_CONCEPTS.get(text[at : at + size]):
                yield from found
                at += size
                break
        else:
            at += 1
