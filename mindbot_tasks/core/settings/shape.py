"""Brings what people wrote into one shape: our names for keys, and bots by name."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any

from pydantic import BaseModel, SecretStr

from mindbot_tasks.core.settings.bots import BotSettings
from mindbot_tasks.core.settings.item import Item, Loc
from mindbot_tasks.core.settings.problems import Problem
from mindbot_tasks.core.settings.root import Settings
from mindbot_tasks.core.words import Sentence

DEFAULT_BOT = "default"


def bare(annotation: Any) -> Any:
    """The annotation without Annotated and None."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in (typing.Union, types.UnionType):
            rest = [part for part in typing.get_args(annotation) if part is not type(None)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation


def below(annotation: Any, key: str | int) -> Any:
    """The annotation of what stands at `key` in a value of this kind; None: nothing we know."""
    annotation = bare(annotation)
    origin = typing.get_origin(annotation)
    if origin is list:
        return typing.get_args(annotation)[0] if isinstance(key, int) else None
    if origin is dict:
        return typing.get_args(annotation)[1]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(key))
        return None if field is None else field.annotation
    return None


def annotation_at(loc: Loc) -> Any:
    """The annotation of the setting at `loc`, None if there is none."""
    annotation: Any = Settings
    for key in loc:
        annotation = below(annotation, key)
    return annotation


def section_at(loc: Loc) -> type[BaseModel] | None:
    """The section at `loc`, None if there is none."""
    annotation = bare(annotation_at(loc))
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _is_section(annotation: Any) -> bool:
    annotation = bare(annotation)
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def is_secret(loc: Loc) -> bool:
    """Whether the value at `loc` must not be shown; what we do not know is kept to ourselves."""
    annotation: Any = Settings
    for key in loc:
        annotation = below(annotation, key)
        if annotation is None or bare(annotation) is SecretStr:
            return True
    return False


def other_names(section: type[BaseModel]) -> dict[str, str]:
    """Other name of a key -> our name."""
    names: dict[str, str] = getattr(section, "also_called", {})
    return names


def known_keys(section: type[BaseModel]) -> list[str]:
    return [*section.model_fields, *other_names(section)]


BOTS: dict[str, type[BotSettings]] = {
    name: section
    for name in Settings.model_fields
    if (section := section_at((name, DEFAULT_BOT))) is not None and issubclass(section, BotSettings)
}


_SECTIONS_OF_BOTS = frozenset(
    key for section in BOTS.values() for key in section.model_fields if _is_section(below(section, key))
)


def shape(root: Item) -> list[Problem]:
    """Rename keys to ours, leave out what is null, and give bots their names; in place."""
    problems: list[Problem] = []
    assert isinstance(root.value, dict)  # noqa: S101  read_yaml sees to it
    for name in [name for name, item in root.value.items() if item.value is None]:
        del root.value[name]
    for name, item in root.value.items():
        if name in BOTS:
            _name_bots(item, BOTS[name], problems)
        _rename(item, below(Settings, name), problems)
    return problems


def _rename(item: Item, annotation: Any, problems: list[Problem]) -> None:
    annotation = bare(annotation)
    if isinstance(item.value, dict):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            item.value = _our_keys(item, other_names(annotation), problems)
        else:
            item.value = {key: child for key, child in item.value.items() if child.value is not None}
    for key, child in item.children():
        _rename(child, below(annotation, key), problems)


def _same(one: Any, other: Any) -> bool:
    return not isinstance(one, dict | list) and type(one) is type(other) and bool(one == other)


def _our_keys(item: Item, names: dict[str, str], problems: list[Problem]) -> dict[str, Item]:
    ours: dict[str, Item] = {}
    for key, child in dict(item.children()).items():
        name = names.get(str(key), str(key))
        if child.value is None:
            continue
        if name in ours:
            if _same(child.value, ours[name].value):
                continue  # the two forms of a section, put together
            problems.append(Problem(child.begins, child.path, Sentence("settings.alias_twice", other=ours[name].path)))
            continue
        ours[name] = child
    return ours


def is_by_name(item: Item) -> bool:
    """Whether bots are written as name -> bot: every value is a mapping, which few keys of a bot are."""
    return isinstance(item.value, dict) and all(
        isinstance(child.value, dict) and key not in _SECTIONS_OF_BOTS for key, child in item.children()
    )


def _name_bots(item: Item, section: type[BotSettings], problems: list[Problem]) -> None:
    if isinstance(item.value, list):
        bots: dict[str, Item] = {}
        for number, child in enumerate(item.value):
            name = _name_of(child, section) or str(number)
            if name in bots:
                problems.append(Problem(child.place, child.path, Sentence("settings.same_bot_name", name=name)))
            bots[name] = child
        item.value = bots
    elif isinstance(item.value, dict) and not is_by_name(item):
        single = Item(item.value, item.place, item.path, key=item.key)
        item.value = {DEFAULT_BOT: single}


def _name_of(item: Item, section: type[BotSettings]) -> str:
    entries = dict(item.children())
    for key in section.named_by:
        child = entries.get(key)
        if child is not None and isinstance(child.value, str) and not child.missing and child.value:
            return child.value
    return ""
