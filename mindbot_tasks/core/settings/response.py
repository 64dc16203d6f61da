"""What becomes of an answer before anybody sees it, and of a question before a model does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from mindbot_tasks.core.settings.section import Section, Wrong
from mindbot_tasks.core.words import Sentence

PiiKind = Literal["email", "phone", "id_card", "bank_card", "ip"]


def _check_file(name: str) -> str:
    try:
        Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise Wrong(Sentence("settings.word_file", name=name)) from exc
    return name


WordFile = Annotated[str, AfterValidator(_check_file)]


class PiiSettings(Section):
    """Personal data by its shape."""

    kinds: list[PiiKind] = []  #: empty: nothing is looked for
    action: Literal["redact", "mask", "hash"] = "mask"
    questions: bool = True  #: on the way to models
    answers: bool = True  #: on the way to people


class WordsSettings(Section):
    """Words that are not to come in or go out."""

    questions: list[str] = []
    answers: list[str] = []
    question_files: list[WordFile] = []  #: one word in a line
    answer_files: list[WordFile] = []
    action: Literal["block", "mask"] = "block"
    reply: str = ""  #: in place of what is blocked; "" means: words of our own


class ResponseSettings(Section):
    strip_thinking: bool = True
    ask_again: Literal["never", "empty", "refusal"] = "empty"  #: refusal: for empty answers too
    unsafe_links: Literal["keep", "remove"] = "remove"  #: javascript:, data:, file: and the like
    private_links: Literal["keep", "remove"] = "keep"  #: to this machine and its networks
    image_hosts: list[str] = []  #: others' pictures become links; empty: pictures from everywhere
    pii: PiiSettings = PiiSettings()
    words: WordsSettings = WordsSettings()
    quality: bool = True
