"""Cuts a document into pieces: at headings first, then between paragraphs, rows and lines, then sentences; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from mindbot_tasks.knowledge.extraction.base import Block
from mindbot_tasks.stores.knowledge_chunks import NewChunk

#: a change here has every document cut anew
VERSION = "1"
#: after these a sentence ends, the mark included; a full stop of ASCII only before a space
_SENTENCE = re.compile(r"(?<=[。！？；!?;\n])(?=\S)|(?<=[.!?;…][\s”’\"')])|(?<=[。！？；][”』」）])")
_WIDE = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff]")


def width(text: str) -> int:
    """Length in the unit of `chunk_size`: a Chinese character says about as much as two letters."""
    return len(text) + len(_WIDE.findall(text))


def chunks(blocks: Sequence[Block], title: str, *, size: int, overlap: int) -> list[NewChunk]:
    """The pieces, at most `size` wide; consecutive ones of a section share up to `overlap`."""
    cut: list[NewChunk] = []
    for (headings, place), section in groupby(blocks, key=lambda block: (block.headings, block.place)):
        above = " > ".join(headings or ((title,) if title else ()))
        cut += [
            NewChunk(above[:300], place, text, _hash(above, text)) for text in _packed(list(section), size, overlap)
        ]
    return _joined(cut, size)


def _hash(title: str, text: str) -> str:
    return hashlib.sha256(f"{title[:300]}\n{text}".encode()).hexdigest()


def _joined(cut: list[NewChunk], size: int) -> list[NewChunk]:
    """Tiny pieces of the same heading, such as one-line slides and pages, go together with what follows."""
    joined: list[NewChunk] = []
    for chunk in cut:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.title == chunk.title
            and last.place == chunk.place
            and width(last.text) + width(chunk.text) < size // 2
        ):
            text = f"{last.text}\n{chunk.text}"
            joined[-1] = NewChunk(last.title, last.place, text, _hash(last.title, text))
        else:
            joined.append(chunk)
    return joined


def _packed(section: Sequence[Block], size: int, overlap: int) -> Iterator[str]:
    """Whole blocks as long as they fit; what is longer is cut."""
    waiting: list[str] = []
    for block in section:
        for part in _parts(block, size, overlap):
            if waiting and width("\n\n".join((*waiting, part))) > size:
                yield "\n\n".join(waiting)
                kept = _tail(waiting[-1], overlap) if block.kind == "text" else ""
                waiting = [kept] if kept and width(f"{kept}\n\n{part}") <= size else []
            waiting.append(part)
    if waiting:
        yield "\n\n".join(waiting)


def _parts(block: Block, size: int, overlap: int) -> list[str]:
    if width(block.text) <= size:
        return [block.text]
    if block.kind == "text":
        return list(_fill(_sentences(block.text, size), size, overlap, ""))
    lines = [line for long in block.text.split("\n") for line in _sliced(long, size)]
    if block.kind == "table" and len(lines) > 2 and width(lines[0]) < size // 3:
        # each piece of a table says what its columns are
        has_rule = bool(re.fullmatch(r"[\s|:-]+", lines[1]))
        header = "\n".join(lines[: 1 + has_rule])
        rows = [f"{line}\n" for line in lines[1 + has_rule :]]
        return [f"{header}\n{part}" for part in _fill(rows, size - width(header) - 1, 0, "")]
    return list(_fill([f"{line}\n" for line in lines], size, 0, ""))


def _sentences(text: str, size: int) -> list[str]:
    return [part for sentence in _SENTENCE.split(text) if sentence for part in _sliced(sentence, size)]


def _sliced(text: str, size: int) -> list[str]:
    """Something without an end: cut at a space or comma if there is one, else anywhere."""
    parts = []
    while width(text) > size:
        end = size // 2 if _WIDE.search(text[:size]) else size
        at = max(text.rfind(mark, end // 2, end) for mark in (" ", "，", "、", ","))
        end = at + 1 if at > 0 else max(end, 1)
        parts.append(text[:end])
        text = text[end:]
    return [*parts, text] if text else parts


def _fill(parts: Sequence[str], size: int, overlap: int, kept: str) -> Iterator[str]:
    for part in parts:
        if kept and width(kept) + width(part) > size:
            yield kept.strip("\n")
            tail = _tail(kept, overlap)
            kept = tail if width(tail) + width(part) <= size else ""
        kept += part
    if kept.strip():
        yield kept.strip("\n")


def _tail(text: str, overlap: int) -> str:
    """The last whole sentences of a text, as far as they fit."""
    tail = ""
    for sentence in reversed([part for part in _SENTENCE.split(text) if part]):
        if width(sentence) + width(tail) > overlap:
            break
        tail = sentence + tail
    return tail
