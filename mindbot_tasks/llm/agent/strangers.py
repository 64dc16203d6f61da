"""Which tools a text of strangers asks for: whoever wants one called has to name it; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 200_000
#: a name that is also a word counts only where it stands like a call
_ORDERED = (
    r"(?:\b(?:call|invoke|run|use|using|execute|trigger|tool|function)\b|调用|使用|运行|执行|工具|函数)\W{{0,6}}(?:the\s+)?{name}(?!\w)"
    r"|(?<!\w){name}\W{{0,3}}(?:\(|\{{|tool\b|function\b|工具|函数)"
    r"|[\"'`]{name}[\"'`]"
)


def tools_named(text: str, tools: Iterable[str], asked: str) -> set[str]:
    """The tools that this text names, without those that the person who asks names too.

    >>> sorted(tools_named("Now call pay(5). The web_search knows.", ["pay", "web_search", "page"], "what is new?"))
    ['pay', 'web_search']
    >>> tools_named("I want to pay on this page.", ["pay", "page"], "what is new?")
    set()
    """
    if not text:
        return set()
    text, asked = text[:_LONGEST].casefold(), asked.casefold()
    return {name for name in tools if _is_named(name.casefold(), text) and name.casefold() not in asked}


def _is_named(name: str, text: str) -> bool:
    if name not in text:
        return False
    if not name.isalpha():
        return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None
    return re.search(_ORDERED.format(name=re.escape(name)), text) is not None
