"""An instant message as one of ours."""

from __future__ import annotations

import hashlib

from mindbot_tasks.model.message import Message, Part
from mindbot_tasks.platforms.aim import markup, names
from mindbot_tasks.platforms.aim.messages import Incoming
from mindbot_tasks.platforms.payload import MAX_ID_CHARS, MAX_NAME_CHARS, clean

NAME = "aim"


def to_message(incoming: Incoming, *, bot: str, own_name: str) -> Message | None:
    """None for what we said ourselves. Away messages are recorded, but not answered."""
    sender = clean(names.normal(incoming.sender))[:MAX_ID_CHARS]
    if sender == names.normal(own_name):
        return None
    text = markup.to_text(incoming.text)
    return Message(
        platform=NAME,
        bot=bot,
        external_id=_external_id(sender, incoming),
        conversation_id=sender,
        conversation_kind="one_to_one",
        sender_id=sender,
        sender_name=clean(incoming.sender)[:MAX_NAME_CHARS],
        parts=(Part("text", text) if text else Part("unknown"),),
        address={"screen_name": clean(incoming.sender)[:MAX_NAME_CHARS]},
        sent_at_ms=incoming.sent_at_s * 1000 if incoming.sent_at_s else None,
        addressed=not incoming.automatic,
    )


def _external_id(sender: str, incoming: Incoming) -> str:
    """Sender and cookie; and a little of the text, for some clients count their cookies from one at each start."""
    words = hashlib.sha256(incoming.text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{sender[: MAX_ID_CHARS - 40]}:{incoming.cookie.hex()}:{words}"


def cookie_of(key: str) -> bytes:
    """Eight bytes for one piece of an answer: the same for every try of it, so that a repetition can be told."""
    return hashlib.sha256(key.encode()).digest()[:8]
