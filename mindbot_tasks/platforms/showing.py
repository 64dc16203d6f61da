"""Showing an answer while it grows, where the platform can; the same for every platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.platforms.base import LiveTarget, Platform, ShowsLive
from mindbot_tasks.stores.claims import Claim


@contextmanager
def growing(platform: Platform, held: Claim, deadline: Deadline) -> Iterator[Callable[[str], None]]:
    """What takes the text so far of the answer to the claimed message; after the block nothing more is shown by it."""
    shown = platform.begin_live(_target(held), deadline) if isinstance(platform, ShowsLive) else None
    if shown is None:
        yield nobody_watches
        return
    try:
        yield shown
    finally:
        shown.end()


def abandon(platform: Platform, held: Claim, text: str, deadline: Deadline) -> None:
    """The message ends without a word being sent: what grew shall not look as if more were to come. Never raises."""
    if isinstance(platform, ShowsLive):
        platform.abandon_live(_target(held), text, deadline)


def _target(held: Claim) -> LiveTarget:
    return LiveTarget(
        message_id=held.message_id,
        answer_key=held.answer_key,
        conversation_id=held.conversation_ref,
        conversation_kind=held.conversation_kind,
        sender_id=held.sender_ref,
        address=held.address,
    )


def nobody_watches(text: str) -> None:
    """For platforms that cannot show an answer while it grows."""
