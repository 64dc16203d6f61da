"""pydantic's errors, said in words: what was expected at which line, what was found, and the nearest known key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mindbot_tasks.core.settings.item import Item, Loc, find, plain
from mindbot_tasks.core.settings.problems import Problem
from mindbot_tasks.core.settings.root import Settings
from mindbot_tasks.core.settings.section import Wrong
from mindbot_tasks.core.settings.shape import is_secret, known_keys, section_at
from mindbot_tasks.core.settings.switches import Off
from mindbot_tasks.core.words import Sentence

_EXPECTED = {
    "int": "whole_number",
    "float": "number",
    "bool": "true_or_false",
    "string": "text",
    "path": "text",
    "dict": "mapping",
    "model": "mapping",
    "list": "list",
}
_BOUNDS = {"greater_than": ("more_than", "gt"), "greater_than_equal": ("at_least", "ge"),
           "less_than": ("less_than", "lt"), "less_than_equal": ("at_most", "le")}  # fmt: skip


def check_types(root: Item, off: Off) -> list[Problem]:
    """All wrong values, unknown and missing keys, also in what is off (there a missing key is no error)."""
    try:
        Settings.model_validate(plain(root))
    except ValidationError as exc:
        return [
            _problem(root, error)
            for error in exc.errors(include_url=False, include_input=False)
            if not (error["type"] == "missing" and any(error["loc"][: len(loc)] == loc for loc in off))
        ]
    return []


def _problem(root: Item, error: Any) -> Problem:
    loc: Loc = error["loc"]
    item, _ = find(root, loc)
    if error["type"] == "missing":
        return Problem(item.begins, item.child_path(str(loc[-1])), Sentence("settings.required"))
    if error["type"] == "extra_forbidden":
        return Problem(item.begins, item.path, Sentence("settings.unknown_key"), _nearest(loc))
    context: Mapping[str, Any] = error.get("ctx", {})
    wrong = context.get("error")
    if isinstance(wrong, Wrong):
        return Problem(item.place, item.path, wrong.sentence, wrong.hint)
    found, hint = _found(item, loc, error["type"])
    what = Sentence("settings.expected_found", expected=_expected(error, context), found=found)
    return Problem(item.place, item.path, what, hint)


def _nearest(loc: Loc) -> Sentence | None:
    section = section_at(loc[:-1])
    if section is None:
        return None
    known = known_keys(section)
    near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.6)
    if near:
        return Sentence("settings.did_you_mean", known=near[0])
    return Sentence("settings.known_keys", known=", ".join(sorted(section.model_fields)))


def _expected(error: Any, context: Mapping[str, Any]) -> Sentence:
    kind: str = error["type"]
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return Sentence(f"settings.{words}", limit=context[key])
    if kind == "literal_error":
        return Sentence("settings.one_of", choices=context["expected"].replace("'", "").replace(" or ", ", "))
    words = _EXPECTED.get(kind.split("_")[0], "")
    return Sentence(f"settings.{words}") if words else Sentence("settings.valid_value", reason=error["msg"])


def _found(item: Item, loc: Loc, kind: str) -> tuple[Sentence | str, Sentence | None]:
    """How to name the value without showing a secret, and a hint where quotes would help."""
    if isinstance(item.value, dict):
        return Sentence("settings.mapping"), None
    if isinstance(item.value, list):
        return Sentence("settings.list"), None
    if item.value is None:
        return Sentence("settings.nothing"), None
    hint = Sentence("settings.quote_it") if kind == "string_type" else None
    if item.reference:
        return Sentence("settings.value_of", reference=item.raw or item.place.source), hint
    if is_secret(loc):
        return Sentence("settings.hidden"), hint
    text = str(item.raw if item.raw is not None else item.value)
    if isinstance(item.value, bool) and text.lower() not in ("true", "false"):
        return Sentence("settings.yaml_reads_as", text=text, value=str(item.value).lower()), hint
    return (repr(text) if isinstance(item.value, str) else text)[:80], hint
