"""How many tokens a text is, about, and which turns of a history fit a budget. Pure.

The usual guess of four characters per token is three to four times too low for Chinese, so those are counted singly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mindbot_tasks.model.answer import Turn

# Han, kana, hangul, full-width forms and CJK punctuation; those outside the first plane too
_WIDE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U0001f000-\U0003ffff]"
)
PER_TURN = 4  # role and separators, as chat formats add them


def estimate(text: str) -> int:
    """Tokens of a text, about: a Chinese character is one, four others are one."""
    wide = len(_WIDE.findall(text))
    return wide + -(-(len(text) - wide) // 4)


def trim(turns: Sequence[Turn], budget: int) -> tuple[Turn, ...]:
    """The newest whole turns within `budget` tokens, oldest first; the first of them is a user's."""
    kept: list[Turn] = []
    left = budget
    for turn in reversed(turns):
        left -= estimate(turn.text) + PER_TURN
        if left < 0:
            break
        kept.append(turn)
    while kept and kept[-1].role != "user":
        kept.pop()
    return tuple(reversed(kept))
