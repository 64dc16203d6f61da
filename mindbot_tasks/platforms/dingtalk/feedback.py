"""Buttons on cards: who pressed which, as a vote, and what the card shall look like then.

By HTTP such a call has a signature of its own: base64(HMAC-SHA256(key = the secret that was registered, timestamp)),
timestamp in ms; by Stream mode it is the `data` of a frame. DingTalk docs, 2026-11-20.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from mindbot_tasks.core.errors import SignatureInvalid
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.model.news import Feedback
from mindbot_tasks.platforms.base import Inbound
from mindbot_tasks.platforms.dingtalk.cards import message_of
from mindbot_tasks.platforms.payload import Payload, Text, an_id, list_or_empty, object_or_empty, read_object

TOPIC = "/v1.0/card/instances/callback"
SIGNATURE, TIMESTAMP = "x-ddpaas-signature", "x-ddpaas-signature-timestamp"
_TIMESTAMP = re.compile(r"[0-9]{1,16}")
#: what a template may call its parameter for the vote
_PARAMS = ("feedback", "vote")


class Private(Payload):
    """Which buttons, and what the template gave along."""

    actionIds: Annotated[list[Any], BeforeValidator(list_or_empty)] = []  # noqa: N815 - the vendor's names
    params: Annotated[dict[str, Any], BeforeValidator(object_or_empty)] = {}


class Content(Payload):
    cardPrivateData: Annotated[Private, BeforeValidator(object_or_empty)] = Private()  # noqa: N815


class Press(Payload):
    """One call."""

    outTrackId: Text = ""  # noqa: N815
    userId: Text = ""  # noqa: N815
    spaceType: Text = ""  # noqa: N815
    content: Annotated[Content, BeforeValidator(object_or_empty)] = Content()


def is_card_call(inbound: Inbound) -> bool:
    """Whether somebody pressed a button, rather than said something."""
    return SIGNATURE in inbound.headers or inbound.headers.get("topic") == TOPIC


def sign(timestamp: str, secret: str) -> str:
    """What DingTalk puts into the signature header."""
    return base64.b64encode(hmac.new(secret.encode(), timestamp.encode(), hashlib.sha256).digest()).decode()


def verify(headers: Mapping[str, str], secret: str, *, now_ms: int, tolerance_s: int) -> None:
    """Return if these headers were signed with the registered secret lately. Raises SignatureInvalid."""
    if not secret:
        raise SignatureInvalid("card_callback_secret is not configured")
    timestamp, given = headers.get(TIMESTAMP, "").strip(), headers.get(SIGNATURE, "").strip()
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureInvalid("the timestamp header is missing or malformed")
    if abs(now_ms - int(timestamp)) > tolerance_s * 1000:
        raise SignatureInvalid("the timestamp header is too far from now")
    if not given.isascii() or not hmac.compare_digest(given.encode(), sign(timestamp, secret).encode()):
        raise SignatureInvalid("the signature header does not fit")


def read(body: bytes, settings: DingTalkSettings) -> tuple[Feedback | None, dict[str, Any]]:
    """The vote, if the button was one for it, and what DingTalk is to be answered. Raises PayloadInvalid."""
    press = Press.model_validate(read_object(body))
    vote = _vote(press.content.cardPrivateData, settings)
    if vote is None:
        return None, {}
    card, user = an_id(press.outTrackId.strip(), "outTrackId"), an_id(press.userId.strip(), "userId")
    shown = {"cardParamMap": {"feedback": vote}}
    in_group = press.spaceType == "IM_GROUP"
    answer = {
        "cardUpdateOptions": {"updateCardDataByKey": True, "updatePrivateDataByKey": True},
        # in a group everybody has a vote, so each sees their own
        "cardData": {"cardParamMap": {}} if in_group else shown,
        "userPrivateData": shown if in_group else {"cardParamMap": {}},
    }
    return Feedback(answer_ref=card, user_id=user, vote=vote, message_id=message_of(card)), answer


def _vote(pressed: Private, settings: DingTalkSettings) -> Literal["up", "down"] | None:
    said = {str(value) for value in pressed.actionIds if isinstance(value, str)}
    if settings.card_feedback_up in said:
        return "up"
    if settings.card_feedback_down in said:
        return "down"
    for name in _PARAMS:
        value = pressed.params.get(name)
        if value == "up" or value == "down":
            return "up" if value == "up" else "down"
    return None
