"""Calls of tools as they are kept with an answer, and as messages for the model when a later question comes.

A call never comes without its result: both stand in one record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import orjson
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from mindbot_tasks.model.answer import Turn
from mindbot_tasks.model.message import JSON

#: of an answer's calls, the last ones are kept
MOST_CALLS = 12
MOST_RESULT_CHARS = 1500
_MOST_ARGUMENT_CHARS = 1000
_MOST_VALUE_CHARS = 200

#: fields of a record that only calls have which can be told again
_ARGUMENTS, _RESULT, _ROUND, _OUTSIDE = "args", "result", "round", "outside"


def record(arguments: Any, result: str, *, within: int, outside: bool) -> dict[str, JSON]:
    """What to keep of a call, short enough to go along with many questions. within: the round of the model."""
    text = result if len(result) <= MOST_RESULT_CHARS else f"{result[:MOST_RESULT_CHARS]}…"
    kept: dict[str, JSON] = {_ARGUMENTS: _short(arguments), _RESULT: text, _ROUND: within}
    return {**kept, _OUTSIDE: True} if outside else kept


def _short(arguments: Any) -> dict[str, JSON]:
    if not isinstance(arguments, Mapping):
        return {}
    written = orjson.dumps(arguments, option=orjson.OPT_NON_STR_KEYS, default=str)
    if len(written) <= _MOST_ARGUMENT_CHARS:
        whole: dict[str, JSON] = orjson.loads(written)
        return whole
    return {
        str(name): value if isinstance(value, int | float | bool) else str(value)[:_MOST_VALUE_CHARS]
        for name, value in list(arguments.items())[: _MOST_ARGUMENT_CHARS // _MOST_VALUE_CHARS]
    }


def messages(history: Sequence[Turn], fence: Any) -> tuple[list[BaseMessage], bool]:
    """Earlier turns with the calls that led to them, and whether words of strangers are among these.

    fence: marks the words of strangers, given the tool's name and its result.
    """
    found: list[BaseMessage] = []
    strange = False
    for turn in history:
        if turn.role == "user":
            found.append(HumanMessage(content=turn.text))
        elif turn.role == "assistant":
            calls = [call for call in turn.tools if _RESULT in call and _ARGUMENTS in call]
            for number, (_, together) in enumerate(groupby(calls, key=lambda call: call.get(_ROUND))):
                found += _round(list(together), f"past_{turn.message_id}_{number}", fence)
            strange = strange or any(call.get(_OUTSIDE) for call in calls)
            found.append(AIMessage(content=turn.text))
    return found, strange


def _round(calls: Sequence[Mapping[str, JSON]], prefix: str, fence: Any) -> list[BaseMessage]:
    """What the model asked for in one breath, and what came of it."""
    asked = [
        {"name": str(call["tool"]), "args": call[_ARGUMENTS], "id": f"{prefix}_{number}", "type": "tool_call"}
        for number, call in enumerate(calls)
    ]
    results = [
        ToolMessage(
            content=fence(one["name"], str(call[_RESULT])) if call.get(_OUTSIDE) else str(call[_RESULT]),
            name=str(one["name"]),
            tool_call_id=str(one["id"]),
            status="success" if call.get("outcome") == "ok" else "error",
        )
        for one, call in zip(asked, calls, strict=True)
    ]
    return [AIMessage(content="", tool_calls=asked), *results]
