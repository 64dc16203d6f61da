"""The generic platform: any other system, by signed JSON in and a signed callback out, or the answer is fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.download import Media, open_url
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.http import PUBLIC, Http, get_http, refuse
from mindbot_tasks.core.settings import ChatSettings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import JSON, Message, Outgoing, Part
from mindbot_tasks.platforms import standard_webhooks
from mindbot_tasks.platforms.base import Acknowledgement, Capabilities, Inbound, LiveAnswer, LiveTarget
from mindbot_tasks.platforms.chat import payload
from mindbot_tasks.platforms.payload import clean, read_object
from mindbot_tasks.platforms.text import Limit, split_markdown
from mindbot_tasks.stores import files
from mindbot_tasks.stores.live import LiveText

PROVIDER = "chat"
ANSWER_CREATED = "answer.created"
#: of a file that goes along in a callback
MOST_INLINE_BYTES = 5_000_000
LIMIT = Limit(chars=100_000, size=400_000)


class Chat:
    """One system on the other side."""

    name: ClassVar[str] = "chat"

    def __init__(self, bot: str, settings: ChatSettings, http: Http, media_http: Http | None = None) -> None:
        self.bot = bot
        self.capabilities = Capabilities(
            markdown=True, live=True, idempotent_send=True, pull=not settings.callback_url, images=True, files=True
        )
        self._settings = settings
        self._http = http
        self._media_http = media_http or get_http(PUBLIC)
        self._secrets = [secret.get_secret_value() for secret in settings.secrets]
        for secret in self._secrets:
            standard_webhooks.key_of(secret)  # raises SettingsError now rather than at the first call

    def verify(self, inbound: Inbound) -> None:
        """Return if one of the secrets signed this call lately; else raise SignatureInvalid."""
        standard_webhooks.verify(self._secrets, inbound.headers, inbound.body, now_s=inbound.received_at_ms / 1000)

    def parse(self, inbound: Inbound) -> list[Message]:
        """The messages in a verified call, none for events of other types. Raises PayloadInvalid."""
        webhook_id = inbound.headers.get("webhook-id", "")
        return payload.to_messages(read_object(inbound.body), self.bot, webhook_id)

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        """Our ids, with which the answer can be fetched."""
        ids = list(message_ids)
        body = {"id": ids[0] if ids else None, "ids": ids, "status": "accepted" if ids else "ignored"}
        return Acknowledgement(orjson.dumps(body), "application/json")

    @contextmanager
    def open_media(self, part: Part, address: Mapping[str, JSON], deadline: Deadline) -> Iterator[Media]:
        """The bytes of an attachment: those that came along, else those behind its URL.

        Raises Rejected, Throttled or Unavailable. The URL gets no credentials of ours.
        """
        if content := part.data.get("content"):
            yield Media(iter([_decoded(str(content))]), str(part.data.get("name") or ""))
            return
        url = str(part.data.get("url") or "")
        if not url:
            raise Rejected("the attachment has neither content nor url", kind="not_found", provider=PROVIDER)
        with open_url(self._media_http, url, deadline, provider=PROVIDER) as media:
            yield media

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
            "details": {**outgoing.part.data, **_content_of(outgoing.part)},
            "number": outgoing.number,
            "total": outgoing.total,
        },
    }


def _decoded(content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        raise Rejected("the attachment is not base64", kind="invalid_request", provider=PROVIDER) from None


def _content_of(part: Part) -> dict[str, Any]:
    """The bytes of a file that is in our store; a big one, or one that is gone, is only named. Raises Unavailable."""
    file_id, size = part.data.get("file"), part.data.get("size")
    if not isinstance(file_id, int) or not isinstance(size, int) or size > MOST_INLINE_BYTES:
        return {}
    try:
        return {"content": base64.b64encode(files.find(file_id).read()).decode()}
    except Rejected:
        return {}


def _webhook_id(key: str) -> str:
    """The key, in a form that the signature scheme takes."""
    plain = key.isascii() and key.isprintable() and 0 < len(key) <= 200 and not set(key) & {".", " "}
    return key if plain else hashlib.sha256(key.encode()).hexdigest()
