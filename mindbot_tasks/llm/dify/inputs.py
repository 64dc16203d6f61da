"""What goes into an app's input variables: the question, values made from templates, and files. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindbot_tasks.core.words import say
from mindbot_tasks.llm.base import Question
from mindbot_tasks.llm.tools_told import used

_PLACE = re.compile(r"\{(\w+)\}")
#: names that an app's author gives to "what the user says"
_LIKELY = ("query", "question", "text", "input", "message", "content", "prompt", "input_text", "user_input")
_LONG, _SHORT = ("paragraph",), ("text-input", "paragraph")
_MOST_HISTORY_CHARS = 6_000

MB = 1024 * 1024
DEFAULT_LIMITS = {"image": 10 * MB, "document": 15 * MB, "audio": 50 * MB, "video": 100 * MB, "custom": 15 * MB}
_LIMITS = {
    "image": "image_file_size_limit",
    "document": "file_size_limit",
    "audio": "audio_file_size_limit",
    "video": "video_file_size_limit",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One input variable of an app's form."""

    variable: str
    kind: str  #: text-input, paragraph, select, number, checkbox, file, file-list
    required: bool = False
    default: Any = None
    types: frozenset[str] = frozenset()  #: of files
    most: int = 1  #: files


@dataclass(frozen=True, slots=True)
class Parameters:
    """What an app says about itself in /parameters."""

    fields: tuple[Field, ...] = ()
    file_types: frozenset[str] = frozenset()  #: that may go along beside the inputs
    most_files: int = 10
    limits: Mapping[str, int] = dataclasses.field(default_factory=lambda: DEFAULT_LIMITS)

    @property
    def every_type(self) -> frozenset[str]:
        """Of files, whether in a variable or beside them."""
        return self.file_types.union(*(each.types for each in self.fields))


def read_parameters(told: Any) -> Parameters:
    """Whatever came from /parameters; what cannot be understood is left out."""
    if not isinstance(told, dict):
        return Parameters()
    upload = told.get("file_upload")
    system = told.get("system_parameters")
    system = system if isinstance(system, dict) else {}
    limits = dict(DEFAULT_LIMITS)
    for kind, key in _LIMITS.items():
        if (size := _whole(system.get(key))) > 0:
            limits[kind] = size * MB
    most = _whole(upload.get("number_limits")) if isinstance(upload, dict) else 0
    most = most or _whole(system.get("workflow_file_upload_limit")) or 10
    form = told.get("user_input_form")
    fields = []
    for entry in form if isinstance(form, list) else []:
        for kind, about in entry.items() if isinstance(entry, dict) else ():
            if isinstance(about, dict) and isinstance(about.get("variable"), str) and about["variable"]:
                fields.append(_field(str(kind), about))
    return Parameters(tuple(fields), wanted_types(upload), most, limits)


def _field(kind: str, about: Mapping[str, Any]) -> Field:
    types: frozenset[str] = frozenset()
    if kind in ("file", "file-list"):
        listed = about.get("allowed_file_types")
        types = frozenset(str(each) for each in listed) if isinstance(listed, list) and listed else frozenset({"image"})
    most = 1 if kind == "file" else _whole(about.get("max_length")) or 5
    return Field(about["variable"], kind, bool(about.get("required")), about.get("default"), types, most)


def wanted_types(upload: Any) -> frozenset[str]:
    """The types of files that an app takes beside its inputs; older versions only know pictures."""
    if not isinstance(upload, dict):
        return frozenset()
    kinds: set[str] = set()
    if upload.get("enabled"):
        listed = upload.get("allowed_file_types")
        kinds |= {str(kind) for kind in listed} if isinstance(listed, list) and listed else {"image"}
    pictures = upload.get("image")
    if isinstance(pictures, dict) and pictures.get("enabled"):
        kinds.add("image")
    return frozenset(kinds)


def _whole(value: Any) -> int:
    try:
        return max(0, int(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0


def text_field(fields: Sequence[Field]) -> str:
    """The variable that is for the user's words: by its name, else the first long or required text; "query" if none.

    >>> text_field([Field("lang", "select"), Field("title", "text-input"), Field("Question", "paragraph")])
    'Question'
    """
    texts = [field for field in fields if field.kind in _SHORT]
    for name in _LIKELY:
        for field in texts:
            if field.variable.casefold() == name:
                return field.variable
    ranked = sorted(texts, key=lambda field: (not field.required, field.kind not in _LONG))
    return ranked[0].variable if ranked else "query"


def uses(templates: Mapping[str, str], variable: str) -> bool:
    """Whether one of these templates has it."""
    return any(f"{{{variable}}}" in template for template in templates.values())


def rendered(templates: Mapping[str, str], question: Question) -> dict[str, str]:
    """The templates with their variables filled in; braces with anything else stay as they are."""
    if not templates:
        return {}
    values = {
        "text": question.text,
        "history": history(question) if uses(templates, "history") else "",
        "language": question.language,
        "user": question.user_key,
        "conversation": question.conversation_key,
        "platform": question.user_key.partition(":")[0],
        "label": question.classification.label,
        "message_id": str(question.message_id),
    }
    return {
        name: _PLACE.sub(lambda found: values.get(found[1], found[0]), template) for name, template in templates.items()
    }


def history(question: Question) -> str:
    """The conversation so far in plain lines, the newest part of it if it is long."""
    lines = []
    for turn in question.history:
        if turn.role in ("user", "assistant"):
            lines.append(f"{say(f'dify.{turn.role}', question.language)}: {turn.text}")
            if calls := used(turn, question.language):
                lines.append(say("context.tools_line", question.language, calls=calls))
    text = "\n".join(lines)
    return text if len(text) <= _MOST_HISTORY_CHARS else "…" + text[-_MOST_HISTORY_CHARS:]


def defaults(fields: Sequence[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for required variables that nobody gave one and whose form has one."""
    return {
        field.variable: field.default
        for field in fields
        if field.required and field.variable not in given and field.default not in (None, "")
    }


def placed(
    files: Sequence[dict[str, Any]], fields: Sequence[Field], wanted: str = ""
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Uploaded files in the variables that take their types, and those that are left over, to go beside the inputs."""
    inputs: dict[str, Any] = {}
    left: list[dict[str, Any]] = []
    takers = [field for field in fields if field.types and (not wanted or field.variable == wanted)]
    for file in files:
        for field in takers:
            held = inputs.get(field.variable, [])
            if file["type"] in field.types and len(held) < field.most:
                inputs[field.variable] = [*held, file]
                break
        else:
            left.append(file)
    singles = {field.variable for field in takers if field.kind == "file"}
    return {name: held[0] if name in singles else held for name, held in inputs.items()}, left
