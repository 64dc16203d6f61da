"""A person's "yes" before a tool acts: what counts as one, and how the agent asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from mindbot_tasks.core.words import Lang, say

#: longer than any of these; most messages are not looked at any further
_MAX_CHARS = 24
_YES = frozenset(
    {
        "yes", "y", "yes please", "yep", "yeah", "ok", "okay", "confirm", "confirmed", "i confirm", "sure", "do it",
        "go ahead", "go", "approve", "approved", "agreed",
        "是", "是的", "好", "好的", "确认", "我确认", "确定", "可以", "同意", "执行", "批准", "对", "行", "没问题",
        "確認", "確定", "執行",
    }
)  # fmt: skip
_AROUND = re.compile(r"^[\s\W_]+|[\s\W_]+$")
_ARGUMENT_CHARS = 1500
_FENCE = re.compile(r"`{3,}")


def is_yes(text: str) -> bool:
    """Whether a message is nothing but a yes.

    >>> is_yes("Yes!"), is_yes("确认。"), is_yes("yes, but tomorrow"), is_yes("不是")
    (True, True, False, False)
    """
    return len(text) <= _MAX_CHARS and _AROUND.sub("", text).casefold() in _YES


def question(calls: Sequence[Mapping[str, Any]], language: Lang, *, within_s: float) -> str:
    """What the agent says instead of acting: each call with all its arguments, for what is hidden is not agreed to."""
    head = say("agent.confirm_one" if len(calls) == 1 else "agent.confirm_many", language, count=len(calls))
    told = [say("agent.confirm_call", language, tool=call["name"], arguments=_written(call["args"])) for call in calls]
    return "\n\n".join([head, *told, say("agent.confirm_how", language, minutes=max(1, round(within_s / 60)))])


def too_long(calls: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some arguments are too long to be shown, and so to be agreed to."""
    return any(len(_written(call["args"])) > _ARGUMENT_CHARS for call in calls)


def _written(arguments: Any) -> str:
    text = orjson.dumps(arguments, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    return _FENCE.sub(lambda found: "'" * len(found[0]), text)  # nothing in them ends the block they stand in
