"""Tools that other people wrote: functions, or tools of LangChain, by dotted path or as an announced entry point."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from mindbot_tasks.llm.agent.tools.base import Call, Tool, ToolFailed
from mindbot_tasks.plugins import tools as plugins
from mindbot_tasks.plugins.tools import Asker, Marks, ToolError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Unusable(Exception):
    """Somebody's tool cannot be used; the words say why, without what an import may have printed."""


def find(name: str) -> Tool | None:
    """The tool of this name or dotted path; None: nobody announces it. Raises Unusable."""
    point = None if ":" in name else plugins.announced().get(name)
    if ":" not in name and point is None:
        return None
    try:
        given = point.load() if point is not None else plugins.load(name)
    except Exception as exc:  # code of others may raise anything when it is imported
        raise Unusable(f"it cannot be loaded ({type(exc).__name__})") from exc
    return of(given, called="" if point is None else point.name)


def of(given: Any, *, called: str = "") -> Tool:
    """A tool made of a function or of a tool of LangChain. Raises Unusable."""
    if hasattr(given, "args_schema") and hasattr(given, "invoke"):
        return _of_langchain(given)
    if not callable(given):
        raise Unusable("it is neither a function nor a tool")
    marks = getattr(given, plugins.MARKS, Marks())
    name = marks.name or called or getattr(given, "__name__", "")
    about = inspect.getdoc(given) or ""
    if not _NAME.fullmatch(name):
        raise Unusable("its name has other characters than letters, digits, _ and -")
    if not about:
        raise Unusable("it has no docstring, so no model would know what it is for")
    model, asker = _model(given, name)

    def run(arguments: Mapping[str, Any], call: Call) -> str:
        return _said(_called(given, arguments, call, asker))

    return Tool(
        name=name,
        description=about[:1024],
        schema=_schema(model),
        run=run,
        effects=marks.effects,
        outside=marks.outside,
        timeout_s=marks.timeout_s,
        check=_checker(model),
    )


def _of_langchain(given: Any) -> Tool:
    """One that is written for LangChain; its metadata may hold `effects` and `outside`."""
    model = given.get_input_schema()
    metadata = given.metadata or {}

    def run(arguments: Mapping[str, Any], call: Call) -> str:
        return _said(given.invoke(dict(arguments)))

    return Tool(
        name=given.name,
        description=(given.description or given.name)[:1024],
        schema=_schema(model),
        run=run,
        effects=bool(metadata.get("effects")),
        outside=bool(metadata.get("outside", True)),
        check=_checker(model, dump=True),
    )


def _model(function: Callable[..., Any], name: str) -> tuple[type[BaseModel], str]:
    """The arguments as a model, and the name of the parameter that takes the asker ("": none)."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except (NameError, TypeError, ValueError) as exc:
        raise Unusable("its type hints cannot be read") from exc
    fields: dict[str, Any] = {}
    asker = ""
    for parameter in parameters:
        if hints.get(parameter.name) is Asker:
            asker = parameter.name
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise Unusable("its parameters must be named ones")
        if parameter.name not in hints:
            raise Unusable(f"its parameter {parameter.name} has no type hint")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    try:
        return create_model(name, __config__=ConfigDict(extra="forbid"), **fields), asker
    except Exception as exc:  # pydantic has many ways to say that a hint is of no use to it
        raise Unusable("its parameters have types that have no JSON schema") from exc


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    try:
        schema = model.model_json_schema()
    except Exception as exc:
        raise Unusable("its parameters have types that have no JSON schema") from exc
    schema.pop("title", None)
    return schema


def _checker(model: type[BaseModel], *, dump: bool = False) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    def check(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            found = model.model_validate(dict(arguments))
        except ValidationError as exc:
            wrong = "; ".join(
                f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors()[:5]
            )
            raise ToolFailed(f"wrong arguments: {wrong}") from None
        return found.model_dump() if dump else {name: getattr(found, name) for name in type(found).model_fields}

    return check


def _called(function: Callable[..., Any], arguments: Mapping[str, Any], call: Call, asker: str) -> Any:
    given = dict(arguments)
    if asker:
        question = call.question
        platform = question.user_key.partition(":")[0]
        given[asker] = Asker(question.user_key, question.conversation_key, platform, question.language)
    try:
        return function(**given)
    except ToolError as exc:
        raise ToolFailed(str(exc)[:500]) from None


def _said(result: Any) -> str:
    if isinstance(result, str):
        return result
    try:
        return orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        return str(result)
