"""The last word on a card, exactly once: each try of it finds what an earlier one did, also after a crash.

Whether a card was begun is asked of DingTalk, not of a memory of ours that could be lost: the card's name follows from
the message, and a card that is not there is created.
"""

from __future__ import annotations

from enum import Enum, auto

import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, RetryableError, Stopped, Unavailable
from mindbot_tasks.model.message import Outgoing
from mindbot_tasks.platforms.dingtalk.addresses import Address
from mindbot_tasks.platforms.dingtalk.cards import Cards
from mindbot_tasks.platforms.dingtalk.errors import PROVIDER

log = structlog.get_logger(__name__)

_NOTE_S = 5.0


class Ending(Enum):
    """What became of a card that was to be finished."""

    DONE = auto()
    NO_CARD = auto()  #: there is none, and it cannot be created
    LEFT_OPEN = auto()  #: it may be there, and for sure it does not hold the whole text


def end(cards: Cards, name: str, outgoing: Outgoing, address: Address, deadline: Deadline) -> Ending:
    """Finish the card with this text. Unless that is done, the text must go another way.

    Raises Throttled or Unavailable, which are safe to try again, unless the kind is "ambiguous".
    """
    try:
        try:
            cards.finish(name, outgoing.part.text, deadline, failed=outgoing.apology)
        except Rejected as exc:
            if exc.kind != "not_found":
                raise
            if not _opened(cards, name, outgoing, address, deadline):
                return Ending.NO_CARD
            cards.finish(name, outgoing.part.text, deadline, failed=outgoing.apology)
    except Rejected as exc:
        return _refused(cards, name, outgoing, exc, deadline)
    return Ending.DONE


def _opened(cards: Cards, name: str, outgoing: Outgoing, address: Address, deadline: Deadline) -> bool:
    """Create the card; False: it goes without one. Nothing of the answer was seen, so no way is closed."""
    try:
        cards.open(name, address, deadline)
    except RetryableError as exc:
        if not outgoing.earlier_tries or exc.code == "our_limit":
            raise
        log.warning("dingtalk_card_not_created", card=name, kind=exc.kind, code=exc.code)
        return False
    except Rejected as exc:
        log.warning("dingtalk_card_not_created", card=name, kind=exc.kind, code=exc.code)
        return False
    return True


def _refused(cards: Cards, name: str, outgoing: Outgoing, exc: Rejected, deadline: Deadline) -> Ending:
    """What a refusal of the last word means."""
    may_have_ended = outgoing.earlier_tries > 0 or outgoing.apology
    if may_have_ended and exc.kind == "invalid_request":
        # what DingTalk says to a call after the last one is not documented; it said yes to that one before
        log.info("dingtalk_card_had_ended", card=name, code=exc.code)
        cards.tell_end(name, outgoing.part.text, deadline, failed=outgoing.apology)
        return Ending.DONE
    if may_have_ended and exc.kind in ("quota", "auth") and not outgoing.apology:
        raise Unavailable(
            "DingTalk lets us not see whether the card is finished", kind="ambiguous", provider=PROVIDER, code=exc.code
        ) from exc
    log.warning("dingtalk_card_not_finished", card=name, kind=exc.kind, code=exc.code)
    # without calls or permission, it cannot be told anything
    return Ending.NO_CARD if exc.kind in ("quota", "auth") else Ending.LEFT_OPEN


def close(cards: Cards, name: str, text: str, deadline: Deadline) -> None:
    """The card, if there is one that has not ended, shall not look as if more were to come. Never raises."""
    try:
        cards.finish(name, text, deadline.within(_NOTE_S), failed=True)
    except Stopped:
        log.info("dingtalk_card_left_open", card=name)
    except FarSideError as exc:
        log.info("dingtalk_card_left_open", card=name, kind=exc.kind, code=exc.code)
