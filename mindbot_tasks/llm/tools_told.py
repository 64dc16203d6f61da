"""Earlier calls of tools in a few words, for whoever answers without tools: chat models, Dify apps. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.answer import Turn
from mindbot_tasks.model.message import JSON

_MOST_CALLS = 4
_MOST_ARGUMENT_CHARS = 120
_MOST_RESULT_CHARS = 240


def used(turn: Turn, language: Lang) -> str:
    """The last calls that led to an answer, in one line; "" if there were none.

    Of tools that read strangers' words only the call is told: such words belong behind the marks that agents know.
    """
    calls = [call for call in turn.tools if "result" in call][-_MOST_CALLS:]
    return "; ".join(_told(call, language) for call in calls)


def by_number(turns: Sequence[Turn], language: Lang) -> str:
    """The calls behind the assistant's answers in `turns`, told by the number of the answer."""
    answers = [turn for turn in turns if turn.role == "assistant"]
    told = [
        say("context.tools_of", language, number=number, calls=calls)
        for number, turn in enumerate(answers, 1)
        if (calls := used(turn, language))
    ]
    return "\n".join([say("context.tools", language), *told]) if told else ""


def _told(call: Mapping[str, JSON], language: Lang) -> str:
    name = str(call.get("tool", ""))
    called = f"{name}({_cut(orjson.dumps(call.get('args')).decode(), _MOST_ARGUMENT_CHARS)})"
    if call.get("outcome") != "ok":
        return say("context.tool_failed", language, call=called)
    return called if call.get("outside") else f"{called} → {_cut(str(call['result']), _MOST_RESULT_CHARS)}"


def _cut(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"
