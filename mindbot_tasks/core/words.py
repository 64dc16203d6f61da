"""What MindBot says to people, in English and Chinese; each room keeps its sentences in `core/words_<room>.py`."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Mapping
from typing import Literal

Lang = Literal["en", "zh"]
Words = Mapping[str, tuple[str, str]]  #: key -> (English, Chinese), with {fields} as in str.format


@functools.cache
def _table(room: str) -> Words:
    words: Words = importlib.import_module(f"mindbot_tasks.core.words_{room}").WORDS
    return words


def say(key: str, lang: Lang = "en", /, **fields: object) -> str:
    """The sentence `room.name` with its fields filled in; a field that is a Sentence is said in the same language.

    Raises KeyError for an unknown name or a missing field: both are bugs, and a test walks all tables.
    """
    room, name = key.split(".", 1)
    english, chinese = _table(room)[name]
    told = {field: value.in_(lang) if isinstance(value, Sentence) else value for field, value in fields.items()}
    return (english if lang == "en" else chinese).format(**told)


def template(key: str, lang: Lang = "en") -> str:
    """The sentence `room.name` as it is written, for who fills in its fields in another way."""
    room, name = key.split(".", 1)
    return _table(room)[name][lang != "en"]


def is_said(key: str) -> bool:
    """Whether there is such a sentence."""
    room, name = key.split(".", 1)
    return name in _table(room)


class Sentence(str):
    """An English sentence that can also be said in the other language."""

    key: str
    fields: dict[str, object]

    def __new__(cls, key: str, /, **fields: object) -> Sentence:
        self = super().__new__(cls, say(key, "en", **fields))
        self.key = key
        self.fields = fields
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        return (self.key,), self.fields

    def in_(self, lang: Lang) -> str:
        """The same in `lang`."""
        return say(self.key, lang, **self.fields)


def lang_of(setting: str = "auto", environ: Mapping[str, str] | None = None) -> Lang:
    """The language of the command line: the `language` setting; with "auto" what LC_ALL, LC_MESSAGES or LANG say."""
    if setting in ("en", "zh"):
        return "zh" if setting == "zh" else "en"
    environ = os.environ if environ is None else environ
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
