"""Labelled utterances: those that come with MindBot, files of operators, and what is kept apart for measuring."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import orjson

from mindbot_tasks.core.errors import PayloadInvalid

Origin = Literal["shipped", "file", "correction", "reask", "thumb"]

#: of what was collected, every fifth is kept apart for measuring
_HELD_OUT = 5
_MOST_CHARS = 100_000
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what kind of request it is."""

    text: str
    label: str
    lang: str  #: "en" or "zh"
    origin: Origin = "shipped"


def shipped() -> list[Labelled]:
    """The set that comes with MindBot, for training."""
    return _of_package("utterances.jsonl")


def held_out() -> list[Labelled]:
    """The set that comes with MindBot, for measuring only."""
    return _of_package("held_out.jsonl")


def chatty() -> list[Labelled]:
    """A second one for measuring only: short and careless, as people write in messengers."""
    return _of_package("chatty.jsonl")


def _of_package(name: str) -> list[Labelled]:
    file = resources.files("mindbot_tasks.chat.learned").joinpath("data", name)
    return list(_read(file.read_bytes(), name, "shipped"))


def read(path: Path) -> list[Labelled]:
    """JSON lines with `text` and `label`; empty lines are skipped. Raises PayloadInvalid with file and line."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise PayloadInvalid(f"{path}: cannot be read ({exc.strerror})") from exc
    found = list(_read(data, str(path), "file"))
    if not found:
        raise PayloadInvalid(f"{path}: there is no example in it")
    return found


def _read(data: bytes, name: str, origin: Origin) -> Iterator[Labelled]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if not line.strip():
            continue
        try:
            one = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            raise PayloadInvalid(f"{name}:{number}: not JSON: {exc}") from exc
        if not isinstance(one, dict):
            raise PayloadInvalid(f"{name}:{number}: must be an object with text and label")
        values = {}
        for key in ("text", "label"):
            value = one.get(key)
            if not isinstance(value, str) or not value.strip():
                raise PayloadInvalid(f"{name}:{number}: {key!r} must be a text that is not empty")
            values[key] = value
        lang = one.get("lang")
        known = lang if lang in ("en", "zh") else language(values["text"])
        yield Labelled(values["text"][:_MOST_CHARS], values["label"].strip(), known, origin)


def language(text: str) -> str:
    """ "zh" if there are Chinese signs, else "en"."""
    return "zh" if _HAN.search(text) else "en"


def is_held_out(text: str) -> bool:
    """Whether a collected text is kept apart for measuring; always the same for the same words."""
    words = "".join(sign for sign in unicodedata.normalize("NFKC", text).casefold() if sign.isalnum())
    return zlib.crc32(words.encode()) % _HELD_OUT == 0


def divided(collected: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """What was collected: for training, and for measuring."""
    train = [one for one in collected if not is_held_out(one.text)]
    return train, [one for one in collected if is_held_out(one.text)]
