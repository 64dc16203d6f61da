"""A workflow that waits for a person: what it asks, in words, and what an answer means for its form. Pure.

Forms: Dify's "Human Input API integration flow", read 2026-11-21.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm.dify.sessions import expiry

_FIELD = re.compile(r"\{\{#\$output\.(\w+)#\}\}")
_SEPARATOR = re.compile(r"^[\s.:,;、。:,-]+")
_CANCEL = frozenset({"cancel", "取消", "放弃"})
_MOST_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Form:
    """What a Human Input node asks."""

    token: str = ""  #: "": only somebody else can answer, for instance by e-mail
    content: str = ""
    title: str = ""
    fields: tuple[str, ...] = ()
    actions: tuple[tuple[str, str], ...] = ()  #: id, title
    defaults: Mapping[str, str] | None = None
    until_s: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to send for an answer."""

    action: str
    inputs: Mapping[str, str]


def read_form(told: Any, token: str = "") -> Form:
    """A form from `human_input_required` or from GET /form; what cannot be understood is left out."""
    told = told if isinstance(told, dict) else {}
    fields = [
        str(each["output_variable_name"])
        for each in _dicts(told.get("inputs"))
        if isinstance(each.get("output_variable_name"), str)
        and each["output_variable_name"]
        and "file" not in str(each.get("type"))
    ]
    actions = [
        (str(each["id"]), str(each.get("title") or each["id"]))
        for each in _dicts(told.get("actions") or told.get("user_actions"))
        if each.get("id")
    ]
    given = told.get("resolved_default_values")
    return Form(
        token=token or str(told.get("form_token") or ""),
        content=str(told.get("form_content") or "")[:_MOST_CHARS],
        title=str(told.get("node_title") or "")[:200],
        fields=tuple(fields),
        actions=tuple(actions),
        defaults={str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {},
        until_s=expiry(told.get("expiration_time")),
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def asked(form: Form, lang: Lang) -> str:
    """What the user is told: the form, the choices, and how to answer."""
    lines = [_FIELD.sub(r"[\1]", form.content).strip() or form.title or say("dify.paused_title", lang)]
    if not form.token:
        return "\n\n".join([*lines, say("dify.paused_elsewhere", lang)])
    return "\n\n".join([*lines, how(form, lang)])


def how(form: Form, lang: Lang) -> str:
    """How to answer a form."""
    said = []
    if form.actions:
        choices = "; ".join(f"{number}. {title}" for number, (_, title) in enumerate(form.actions, 1))
        said.append(say("dify.paused_choose", lang, choices=choices))
    if form.fields:
        said.append(say("dify.paused_fields", lang, fields=", ".join(form.fields)))
        first = form.actions[0][1] if form.actions else ""
        words = say("dify.paused_words", lang)
        if len(form.fields) == 1:
            example = f"{first} {words}".strip()
            said.append(say("dify.paused_how_field", lang, example=example))
        else:
            example = " / ".join([first, *(f"{words} {number}" for number in range(1, len(form.fields) + 1))])
            said.append(say("dify.paused_how_fields", lang, example=example))
    said.append(say("dify.paused_cancel", lang))
    return "\n".join(said)


def is_cancel(text: str) -> bool:
    return text.strip().casefold() in _CANCEL


def decision(form: Form, text: str) -> Decision | None:
    """What an answer in words decides; None if it cannot be matched.

    >>> form = Form("t", actions=(("yes", "Approve"), ("no", "Send back")), fields=("comment",))
    >>> decision(form, "2 too long"), decision(form, "hm")
    (Decision(action='no', inputs={'comment': 'too long'}), None)
    """
    head, _, rest = text.strip().partition("\n")
    action, after = _chosen(form.actions, head.strip())
    if action is None:
        if len(form.actions) > 1 or (form.actions and not form.fields):
            return None
        # there is nothing to choose between, so all of it is what was asked for
        action, after, rest = (form.actions[0][0] if form.actions else "submit"), "", text.strip()
    lines = [line for line in [after, *rest.splitlines()] if line.strip()]
    values: dict[str, str] = dict(form.defaults or {})
    if len(form.fields) == 1 and lines:
        values[form.fields[0]] = "\n".join(lines)
    else:
        values |= {field: line.strip() for field, line in zip(form.fields, lines, strict=False)}
    return Decision(action, {field: values.get(field, "") for field in form.fields})


def _chosen(actions: Sequence[tuple[str, str]], head: str) -> tuple[str | None, str]:
    """The action that a line begins with, by its number, id or title, and what stands after that."""
    said = head.casefold()
    for number, (action, title) in enumerate(actions, 1):
        for name in sorted((str(number), action.casefold(), title.casefold()), key=len, reverse=True):
            if not name or not said.startswith(name):
                continue
            after = head[len(name) :]
            if not after or not (name[-1].isascii() and name[-1].isalnum() and after[0].isalnum()):
                return action, _SEPARATOR.sub("", after).strip()
    return None, ""
