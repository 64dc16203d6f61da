"""The JSON Schema of mindbot.yaml, and the tables of its keys for the documentation."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mindbot_tasks.core.settings.bots import BotSettings
from mindbot_tasks.core.settings.root import Settings
from mindbot_tasks.core.settings.shape import BOTS, bare, below, other_names
from mindbot_tasks.core.words import Lang

_REFERENCE = {
    "type": "string",
    "pattern": r"\$\{",
}  #: a ${VARIABLE} may stand wherever a number or a choice is expected
_BY_NAME_ALONE = ("ModelSettings", "WorkflowRef")


@functools.cache
def _descriptions() -> dict[str, dict[str, list[str]]]:
    text = Path(__file__).with_name("descriptions.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(text)
    return found


def describe(section: type[BaseModel], key: str, lang: Lang = "en") -> str:
    """What a key means. Raises KeyError for one without a description."""
    table = _descriptions()
    own = table.get(section.__name__, {})
    if key not in own and issubclass(section, BotSettings):
        own = table["BotSettings"]
    return own[key][0 if lang == "en" else 1]


def json_schema() -> dict[str, Any]:
    """Draft 2020-12, of the file as people write it: with ${VARIABLES}, and bots in all three forms."""
    schema = Settings.model_json_schema(mode="validation")
    sections = {"Settings": Settings} | {section.__name__: section for section, _ in _sections(Settings)}
    definitions = schema["$defs"]
    for name, definition in [("Settings", schema), *definitions.items()]:
        _finish(definition, sections[name])
    for name in _BY_NAME_ALONE:
        definitions[name] = {"anyOf": [{"type": "string"}, definitions[name]]}
    for name, section in BOTS.items():
        bot = {"$ref": f"#/$defs/{section.__name__}"}
        by_name = {"type": "object", "additionalProperties": bot}
        schema["properties"][name]["anyOf"] = [bot, {"type": "array", "items": bot}, by_name, {"type": "null"}]
        for key in ("additionalProperties", "type", "default"):
            schema["properties"][name].pop(key, None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mindbot.yaml",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def schema_text() -> str:
    """What `mindbot config schema` prints and docs/mindbot.schema.json holds."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _finish(definition: dict[str, Any], section: type[BaseModel]) -> None:
    definition["additionalProperties"] = False
    definition.pop("description", None)
    properties = definition["properties"]
    for key, value in list(properties.items()):
        value = _loosened(value)
        value.pop("title", None)
        value["description"] = describe(section, key)
        properties[key] = value
    for other, key in other_names(section).items():
        properties[other] = properties[key]
        if key in definition.get("required", []):  # either name will do; `config check` says what is missing
            definition["required"].remove(key)


def _loosened(value: dict[str, Any]) -> dict[str, Any]:
    """The same, but a variable may stand there too, and an empty section is none."""
    kind = value.get("type")
    if kind in ("integer", "number", "boolean") or "enum" in value or ("anyOf" in value):
        outer = {key: value[key] for key in ("default",) if key in value}
        inner = {key: part for key, part in value.items() if key not in ("default", "title", "description")}
        choices = inner["anyOf"] if set(inner) == {"anyOf"} else [inner]
        is_section = any("$ref" in choice for choice in choices)  # already with null, as it may be left out
        return outer | {"anyOf": choices if is_section else [*choices, dict(_REFERENCE)]}
    if kind in ("object", "array"):
        return {**value, "type": [kind, "null"]}
    if "$ref" in value:
        outer = {key: part for key, part in value.items() if key != "$ref"}
        return outer | {"anyOf": [{"$ref": value["$ref"]}, {"type": "null"}]}
    return value


def _sections(section: type[BaseModel], path: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """Every section below this one, with the way to write it."""
    for name, field in section.model_fields.items():
        annotation, here = bare(field.annotation), f"{path}.{name}" if path else name
        while not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            inner = below(annotation, 0) or below(annotation, "")
            if inner is None:
                break
            if name not in BOTS:
                here += "[]" if below(annotation, "") is None else ".<name>"
            annotation = bare(inner)
        else:
            yield annotation, here
            yield from _sections(annotation, here)


def tables(lang: Lang = "en") -> str:
    """Markdown: one table for each section with its keys, defaults and meaning."""
    top = {"en": "Top level", "zh": "顶层"}[lang]
    head = {"en": "| key | default | meaning |", "zh": "| 键 | 默认值 | 含义 |"}[lang]
    parts = []
    every: list[tuple[type[BaseModel], str]] = [(Settings, ""), *_sections(Settings)]
    for section, path in every:
        rows = [f"### {f'`{path}`' if path else top}", "", head, "| --- | --- | --- |"]
        for key, field in section.model_fields.items():
            meaning = describe(section, key, lang).replace("|", "\\|").replace("<", "&lt;")
            rows.append(f"| `{key}` | {_default(field, lang)} | {meaning} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _default(field: FieldInfo, lang: Lang) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return {"en": "required", "zh": "必填"}[lang]
    if value is None or value == "" or isinstance(value, BaseModel) or value in ({}, []):
        return ""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if value == "":
        return ""
    return f"`{json.dumps(value) if isinstance(value, bool | int | float) else value}`"
