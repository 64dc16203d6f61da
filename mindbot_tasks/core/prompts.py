"""System prompts with variables: `{user_name}`, `{date}` ... Names only, never attributes or format codes.

Braces around anything that is no name stay as they are, so JSON may stand in a prompt; `{{date}}` is a plain `{date}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

#: what a prompt may ask for
VARIABLES: Final = (
    "user_name",
    "user_id",
    "bot",
    "platform",
    "conversation_title",
    "conversation_kind",
    "language",
    "date",
    "time",
    "weekday",
    "time_zone",
)
_LANGUAGES = {"en": "English", "zh": "Chinese"}
_MOST_CHARS = 80
#: what is not to stand in a value that strangers choose: line breaks and other control characters, and marks of prompts
_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e<>{}\[\]`]+")
_NAME = r"[A-Za-z_][A-Za-z0-9_.!:%-]*(?:\[[^\]{}]*\])?"
_MARKS = re.compile(rf"\{{\{{(?P<literal>{_NAME})\}}\}}|\{{(?P<name>{_NAME})\}}")


def unknown_in(template: str) -> list[str]:
    """Names in braces that are no variables, in their order."""
    names = [match["name"] for match in _MARKS.finditer(template) if match["name"]]
    return [name for name in dict.fromkeys(names) if name not in VARIABLES]


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its variables; what has no value becomes empty. Values are never looked at again."""
    if "{" not in template:
        return template

    def put(match: re.Match[str]) -> str:
        if match["literal"]:
            return f"{{{match['literal']}}}"
        name = match["name"]
        return values.get(name, "") if name in VARIABLES else match[0]

    return _MARKS.sub(put, template)


def values_of(
    *,
    user_name: str,
    user_id: str,
    bot: str,
    platform: str,
    conversation_title: str,
    conversation_kind: str,
    language: str,
    now: datetime,
) -> dict[str, str]:
    """The value of every variable. Names of people and groups are theirs to choose: one short, plain line."""
    return {
        "user_name": _harmless(user_name) or "the user",
        "user_id": _harmless(user_id),
        "bot": _harmless(bot),
        "platform": platform,
        "conversation_title": _harmless(conversation_title),
        "conversation_kind": conversation_kind.replace("_", "-"),
        "language": _LANGUAGES.get(language, language),
        "date": f"{now:%Y-%m-%d}",
        "time": f"{now:%H:%M}",
        "weekday": f"{now:%A}",
        "time_zone": str(now.tzinfo or "") or f"{now:%Z}",
    }


def _harmless(value: str) -> str:
    return " ".join(_UNWANTED.sub(" ", value).split())[:_MOST_CHARS].strip()
