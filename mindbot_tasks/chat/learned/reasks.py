"""Questions that were asked again because the first answer missed the point: the second one says what was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mindbot_tasks.stores.learning import Asked, is_of

#: how soon after the first the same is asked again
SOON_MS = 10 * 60_000
_ALIKE = 0.6
_FEWEST_SIGNS = 4
_MOST_SIGNS = 2000


def reasks(asked: Sequence[Asked]) -> Iterator[tuple[int, str]]:
    """The messages that were nearly repeated soon after, each with the label under which a workflow then answered.

    asked: oldest first. A second answer that was disliked teaches nothing.
    """
    last: dict[tuple[int, str], list[Asked]] = {}
    for one in asked:
        before = last.setdefault((one.conversation_id, one.sender_ref), [])
        before[:] = [other for other in before if one.received_at - other.received_at <= SOON_MS]
        if is_of(one.workflow, one.label) and not one.disliked:
            for other in before:
                if other.label != one.label and alike(other.text, one.text):
                    yield other.message_id, one.label
        before.append(one)


def alike(one: str, other: str) -> bool:
    """Whether two texts ask nearly the same: most of the pairs of signs of the shorter one are in the longer one."""
    first, second = _pairs(one), _pairs(other)
    shorter, longer = sorted((first.total(), second.total()))
    if shorter < _FEWEST_SIGNS - 1 or longer > 3 * shorter:
        return False
    return (first & second).total() >= _ALIKE * shorter


def _pairs(text: str) -> Counter[str]:
    signs = "".join(sign for sign in text[:_MOST_SIGNS].casefold() if sign.isalnum())
    return Counter(signs[at : at + 2] for at in range(len(signs) - 1))
