"""The generic platform: any other system, by signed JSON in and a signed callback out, or the answer is fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.http import Http, refuse
from mindbot_tasks.core.settings import ChatSettings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.platforms import standard_webhooks
from mindbot_tasks.platforms.base import Acknowledgement, Capabilities, Inbound, LiveAnswer, LiveTarget
from mindbot_tasks.platforms.chat import payload
from mindbot_tasks.platforms.payload import clean, read_object
from mindbot_tasks.platforms.text import Limit, split_markdown
from mindbot_tasks.stores.live import LiveText

PROVIDER = "chat"
ANSWER_CREATED = "answer.created"
LIMIT = Limit(chars=100_000, size=400_000)


class Chat:
    """One system on the other side."""

    name: ClassVar[str] = "chat"

    def __init__(self, bot: str, settings: ChatSettings, http: Http) -> None:
        self.bot = bot
        self.capabilities = Capabilities(markdown=True, live=True, idempotent_send=True, pull=not settings.callback_url)
        self._settings = settings
        self._http = http
        self._secrets = [secret.get_secret_value() for secret in settings.secrets]
        for secret in self._secrets:
            standard_webhooks.key_of(secret)  # raises SettingsError now rather than at the first call

    def verify(self, inbound: Inbound) -> None:
        """Return if one of the secrets signed this call lately; else raise SignatureInvalid."""
        standard_webhooks.verify(self._secrets, inbound.headers, inbound.body, now_s=inbound.received_at_ms / 1000)

    def parse(self, inbound: Inbound) -> list[Message]:
        """The message in a verified call, none for events of other types. Raises PayloadInvalid."""
        webhook_id = inbound.headers.get("webhook-id", "")
        message = payload.to_message(read_object(inbound.body), self.bot, webhook_id)
        return [message] if message else []

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        """Our ids, with which the answer can be fetched."""
        ids = list(message_ids)
        body = {"id": ids[0] if ids else None, "ids": ids, "status": "accepted" if ids else "ignored"}
        return Acknowledgement(orjson.dumps(body), "application/json")

    def render(self, answer: Answer) -> list[Part]:
        """Nearly always one piece. Pure."""
        pieces = split_markdown(clean(answer.text).strip(), LIMIT)
        return [Part("markdown", piece.text) for piece in pieces if piece.body.strip()] + list(answer.parts)

    def begin_live(self, target: LiveTarget, deadline: Deadline) -> LiveAnswer:
        """Told to whoever watches the message through the API."""
        return LiveText(target.message_id)

    def abandon_live(self, target: LiveTarget, text: str, deadline: Deadline) -> None:
        """Who watches hears of the end by the message's state."""

    def send(self, outgoing: Outgoing, deadline: Deadline) -> str:
        """Post one piece to the callback URL; nothing to do when there is none. Always "".

        Raises Rejected, Throttled or Unavailable. The same `webhook-id` on every try lets the receiver tell repeats.
        """
        if not self._settings.callback_url:
            return ""
        sent_at_ms = now_ms()
        body = orjson.dumps(_event(outgoing, sent_at_ms))
        headers = standard_webhooks.sign(self._secrets, _webhook_id(outgoing.key), body, now_s=sent_at_ms // 1000)
        response = self._http.request(
            "POST",
            self._settings.callback_url,
            deadline=deadline,
            provider=PROVIDER,
            headers={**headers, "Content-Type": "application/json"},
            body=body,
        )
        if response.status == 410:
            raise Rejected("the callback URL is gone (410)", kind="expired", provider=PROVIDER, status=410)
        if not response.ok:
            refuse(response)
        return ""


def _event(outgoing: Outgoing, sent_at_ms: int) -> dict[str, Any]:
    return {
        "type": ANSWER_CREATED,
        "timestamp": datetime.fromtimestamp(sent_at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "data": {
            "message_id": outgoing.message_id,
            "in_reply_to": outgoing.address.get("in_reply_to"),
            "conversation_id": outgoing.conversation_id,
            "user_id": outgoing.sender_id,
            "kind": outgoing.part.kind,
            "text": outgoing.part.text,
            "details": dict(outgoing.part.data),
            "number": outgoing.number,
            "total": outgoing.total,
        },
    }


def _webhook_id(key: str) -> str:
    """The key, in a form that the signature scheme takes."""
    plain = key.isascii() and key.isprintable() and 0 < len(key) <= 200 and not set(key) & {".", " "}
    return key if plain else hashlib.sha256(key.encode()).hexdigest()
