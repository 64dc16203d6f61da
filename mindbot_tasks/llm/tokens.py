"""How many tokens a text is, about, and which turns of a history fit a budget. Pure.

The usual guess of four characters per token is three to four times too low for Chinese, so those are counted singly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mindbot_tasks.model.answer import Turn

# Han, kana, hangul, full-width forms and CJK punctuation; those outside the first plane too
_WIDE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U0001f000-\U0003ffff]"
)
PER_TURN = 4  # role and separators, as chat formats add them


def estimate(text: str) -> int:
    """Tokens of a text, about: a Chinese character is one, four others are one."""
    wide = 0 if text.isascii() else len(_WIDE.findall(text))
    return wide + -(-(len(text) - wide) // 4)


def cost(turn: Turn) -> int:
    """Tokens of a turn, with the calls of tools that belong to it."""
    return estimate(turn.text) + PER_TURN + sum(estimate(str(dict(call))) for call in turn.tools)


def trim(turns: Sequence[Turn], budget: int) -> tuple[Turn, ...]:
    """The newest whole exchanges within `budget` tokens, oldest first.

    An exchange begins with a user's turn and is kept as a whole or not at all: a question is never parted from its
    answer. Calls of tools go before words do, each with its result: from the first turn on whose calls do not fit,
    older ones come without theirs.
    """
    kept, chosen = 0, list[Turn]()
    left, with_tools = budget, True
    for turn in reversed(turns):
        if turn.tools and (not with_tools or cost(turn) > left):
            turn, with_tools = replace(turn, tools=()), False
        left -= cost(turn)
        if left < 0:
            break
        chosen.append(turn)
        if turn.role == "user":
            kept = len(chosen)
    return tuple(reversed(chosen[:kept]))
