"""A file of postings: which pieces contain which term how often. Written once, then only mapped and read.

Terms are known by a hash of 64 bits, sorted; each has a run of postings, four bytes for each piece that contains it:
the place of the piece in this file and how often the term occurs. All processes of a machine share the mapped pages,
and the kernel takes them back when memory is short.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mindbot_tasks.knowledge.terms import terms

Array = np.ndarray[Any, np.dtype[Any]]

_MAGIC = b"MBWORDS1"
_HEADER = struct.Struct("<8sQQQ")  #: magic, pieces, terms, postings
TF_BITS = 5
TF_MOST = (1 << TF_BITS) - 1
_TITLE_COUNTS = 2  #: so often do the words of headings count
#: merging looks at as many parts of the terms one after the other, so that memory does not grow with the files
_PARTS_OF = 500_000
_KNOWN_HASHES = 200_000


class Damaged(Exception):
    """The file is not what we wrote."""


def hash_of(term: str) -> int:
    """By what a term is known."""
    return int.from_bytes(hashlib.blake2b(term.encode("utf-8", "replace"), digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """An open file."""

    name: str
    chunk_ids: Array  #: by place
    lengths: Array  #: in terms
    postings: Array
    hashes: Array  #: sorted
    starts: Array  #: one more than there are terms

    @property
    def pieces(self) -> int:
        return len(self.chunk_ids)

    def runs(self, asked: Array) -> tuple[Array, Array]:
        """(begin, end) of the postings of each asked hash; equal where nobody wrote it."""
        if not len(self.hashes):
            none = np.zeros(len(asked), np.int64)
            return none, none
        at = np.minimum(np.searchsorted(self.hashes, asked), len(self.hashes) - 1)
        begin, end = self.starts[at].astype(np.int64), self.starts[at + 1].astype(np.int64)
        return begin, np.where(self.hashes[at] == asked, end, begin)


def load(path: Path) -> Segment:
    """Map a file. Raises OSError, Damaged."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < _HEADER.size:
            raise Damaged(path.name)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    magic, pieces, distinct, count = _HEADER.unpack_from(mapped)
    if magic != _MAGIC or size != _HEADER.size + pieces * 10 + count * 4 + distinct * 8 + (distinct + 1) * 8:
        raise Damaged(path.name)
    at = _HEADER.size
    found = []
    # the widest first: every array lies at a multiple of its own width
    for kind, length in (("<i8", pieces), ("<u8", distinct), ("<u8", distinct + 1), ("<u4", count), ("<u2", pieces)):
        found.append(np.frombuffer(mapped, kind, length, at))
        at += int(kind[-1]) * length
    chunk_ids, hashes, starts, postings, lengths = found
    if int(starts[-1]) != count:
        raise Damaged(path.name)
    return Segment(path.name, chunk_ids, lengths, postings, hashes, starts)


@dataclass(slots=True)
class Builder:
    """Collects pieces for a file."""

    chunk_ids: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("H"))
    _hashes: array[int] = field(default_factory=lambda: array("Q"))
    _counts: array[int] = field(default_factory=lambda: array("B"))
    _distinct: array[int] = field(default_factory=lambda: array("I"))
    _known: dict[str, int] = field(default_factory=dict)

    def add(self, chunk_id: int, title: str, text: str) -> None:
        counts = Counter(terms(text))
        for term in terms(title):
            counts[term] += _TITLE_COUNTS
        self.chunk_ids.append(chunk_id)
        self.lengths.append(min(counts.total(), 65_535))
        self._distinct.append(len(counts))
        known = self._known
        if len(known) > _KNOWN_HASHES:
            known.clear()
        for term, count in counts.items():
            hashed = known.get(term)
            if hashed is None:
                hashed = known[term] = hash_of(term)
            self._hashes.append(hashed)
            self._counts.append(min(count, TF_MOST))

    @property
    def postings(self) -> int:
        return len(self._hashes)

    def write(self, path: Path) -> None:
        """Raises OSError."""
        hashes = np.frombuffer(self._hashes, np.uint64) if self._hashes else np.zeros(0, np.uint64)
        counts = np.frombuffer(self._counts, np.uint8) if self._counts else np.zeros(0, np.uint8)
        places = np.repeat(np.arange(len(self.chunk_ids), dtype=np.uint32), np.array(self._distinct, np.int64))
        postings = (places << np.uint32(TF_BITS)) | counts
        order = np.argsort(hashes, kind="stable")
        part = hashes[order], postings[order]
        _write(path, np.array(self.chunk_ids, np.int64), np.array(self.lengths, np.uint16), iter([part]))


def merge(segments: Sequence[Segment], dead: Mapping[str, Sequence[int]], path: Path) -> None:
    """One file of several, without the places that are dead. Raises OSError."""
    moved, chunk_ids, lengths, total = [], [], [], 0
    for segment in segments:
        lives = np.ones(segment.pieces, bool)
        lives[np.array(dead.get(segment.name, ()), np.int64)] = False
        moved.append(np.where(lives, np.cumsum(lives) - 1 + total, -1))
        chunk_ids.append(segment.chunk_ids[lives])
        lengths.append(segment.lengths[lives])
        total += int(lives.sum())

    def parts() -> Iterator[tuple[Array, Array]]:
        wanted = max(1, sum(len(segment.postings) for segment in segments) // _PARTS_OF)
        edges = [number * (2**64 // wanted) for number in range(wanted)]
        for low, high in zip(edges, [*edges[1:], None], strict=True):
            hashes, postings = [], []
            for segment, places in zip(segments, moved, strict=True):
                first = int(np.searchsorted(segment.hashes, np.uint64(low)))
                last = len(segment.hashes) if high is None else int(np.searchsorted(segment.hashes, np.uint64(high)))
                begin, end = int(segment.starts[first]), int(segment.starts[last])
                raw = segment.postings[begin:end]
                place = places[raw >> np.uint32(TF_BITS)]
                kept = place >= 0
                long = np.repeat(segment.hashes[first:last], _lengths(segment.starts[first : last + 1]))
                hashes.append(long[kept])
                tf = raw[kept] & np.uint32(TF_MOST)
                postings.append((place[kept].astype(np.uint32) << np.uint32(TF_BITS)) | tf)
            together = np.concatenate(hashes)
            order = np.argsort(together, kind="stable")
            yield together[order], np.concatenate(postings)[order]

    _write(path, np.concatenate(chunk_ids), np.concatenate(lengths), parts())


def _lengths(starts: Array) -> Array:
    return (starts[1:] - starts[:-1]).astype(np.int64)


def _write(path: Path, chunk_ids: Array, lengths: Array, parts: Iterator[tuple[Array, Array]]) -> None:
    """Sorted parts become a file that is whole or not there."""
    raw, fresh = path.with_suffix(".postings"), path.with_suffix(".new")
    hashes, counts, total = [], [], 0
    try:
        with raw.open("w+b") as spool:
            for part, postings in parts:
                distinct, count = np.unique(part, return_counts=True)
                hashes.append(distinct)
                counts.append(count)
                total += len(postings)
                spool.write(postings.astype("<u4").tobytes())
            all_hashes = np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)
            starts = np.concatenate([np.zeros(1, np.uint64), np.cumsum(np.concatenate(counts), dtype=np.uint64)])
            with fresh.open("wb") as file:
                file.write(_HEADER.pack(_MAGIC, len(chunk_ids), len(all_hashes), total))
                for values, kind in ((chunk_ids, "<i8"), (all_hashes, "<u8"), (starts, "<u8")):
                    file.write(values.astype(kind).tobytes())
                spool.seek(0)
                _copy(spool, file)
                file.write(lengths.astype("<u2").tobytes())
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        raw.unlink(missing_ok=True)
        fresh.unlink(missing_ok=True)


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    while block := source.read(1 << 20):
        target.write(block)
