"""Finding all places of a pattern that pass a check, also those that overlap one that does not; in linear time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

#: of a text that was made to be slow
_MOST_REFUSALS = 2000
_WINDOW = 400


def find_all(pattern: Any, text: str, passes: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
    """Begin and end of each; `pattern` is one of RE2, whose every call looks at the whole text it is given."""
    refusals = 0
    ended = 0
    for match in pattern.finditer(text):
        begin, end = match.span()
        if begin < ended:
            continue
        if passes(begin, end):
            ended = end
            yield begin, end
            continue
        refusals += 1
        if refusals > _MOST_REFUSALS:
            continue
        # what was found may hide another one that begins within it
        at, last = begin + 1, end
        while at < last:
            window = text[at : end + _WINDOW]
            hidden = pattern.search(window)
            if hidden is None or at + hidden.start() >= last:
                break
            first, after = at + hidden.start(), at + hidden.end()
            if passes(first, after):
                ended = after
                yield first, after
                break
            at = first + 1
