"""From the bytes of a document to its blocks of text, in a process of its own that cannot hurt this one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import orjson

from mindbot_tasks.knowledge.extraction.base import KINDS, Block, Unreadable

TIMEOUT_S = 90.0
MAX_BYTES = 100_000_000
_MAX_OUTPUT = 64_000_000
_LOOK_S = 10.0


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a document says, and what of it could not be read."""

    blocks: tuple[Block, ...]
    title: str = ""
    note: str = ""


def kind_of(name: str, media_type: str = "") -> str:
    """ "pdf", "docx" ... by the ending of the name, else by the media type. Raises Unreadable."""
    ending = PurePosixPath(name.lower()).suffix.lstrip(".")
    for kind, (endings, _) in KINDS.items():
        if ending in endings:
            return kind
    for kind, (_, types) in KINDS.items():
        if media_type in types:
            return kind
    if ending in ("doc", "xls", "ppt"):
        raise Unreadable(f".{ending} is the old format of Office; save it as .{ending}x")
    raise Unreadable(f"documents of this kind cannot be read ({ending or media_type or 'no ending'})")


def extract(
    content: bytes,
    name: str,
    media_type: str = "",
    *,
    timeout_s: float = TIMEOUT_S,
    still_at_it: Callable[[], None] = lambda: None,
) -> Extracted:
    """Read a document; `still_at_it` is called every few seconds, and ends it by raising.

    Raises Unreadable with a reason for people.
    """
    kind = kind_of(name, media_type)
    if len(content) > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES // 1_000_000} MB")
    root = str(Path(__file__).resolve().parents[3])
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "mindbot_tasks.knowledge.extraction.child", kind, f"{timeout_s:g}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # nothing of ours: no keys, no addresses
        env={"PATH": os.defpath, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"},
    )
    try:
        output = _output(process, content, timeout_s, still_at_it)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode != 0 or len(output) > _MAX_OUTPUT:
        raise Unreadable("reading it used too much memory or time")
    try:
        told = orjson.loads(output)
    except orjson.JSONDecodeError:
        raise Unreadable("reading it broke off") from None
    if "error" in told:
        raise Unreadable(told["error"])
    blocks = tuple(Block(one["text"], tuple(one["headings"]), one["place"], one["kind"]) for one in told["blocks"])
    return Extracted(blocks, told["title"], told["note"])


def _output(
    process: subprocess.Popen[bytes], content: bytes, timeout_s: float, still_at_it: Callable[[], None]
) -> bytes:
    ends_at = time.monotonic() + timeout_s
    given: bytes | None = content
    while (left_s := ends_at - time.monotonic()) > 0:
        try:
            return process.communicate(given, timeout=min(_LOOK_S, left_s))[0]
        except subprocess.TimeoutExpired:
            given = None  # it goes on where it was
            still_at_it()
    raise Unreadable(f"reading it took longer than {timeout_s:g} s")


__all__ = ["Block", "Extracted", "Unreadable", "extract", "kind_of"]
