"""An app of WeCom (企业微信): encrypted callbacks in, messages of the app out."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, SignatureInvalid
from mindbot_tasks.core.settings import WeComSettings
from mindbot_tasks.core.words import Lang
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import JSON, Message, Outgoing, Part
from mindbot_tasks.platforms.base import Acknowledgement, Capabilities, Inbound, Media, News
from mindbot_tasks.platforms.wecom import payload, pieces
from mindbot_tasks.platforms.wecom.sending import Sender
from mindbot_tasks.platforms.weixin import Client, Envelope
from mindbot_tasks.platforms.weixin.envelope import encrypted_in
from mindbot_tasks.platforms.weixin.xml import read_fields


class _Latest(threading.local):
    """The call that this thread has opened last."""

    inbound: Inbound | None = None
    fields: dict[str, JSON]


class WeCom:
    """One app."""

    name: ClassVar[str] = payload.PLATFORM

    def __init__(
        self,
        bot: str,
        settings: WeComSettings,
        client: Client,
        sender: Sender,
        *,
        contacts: Client | None = None,
        language: Lang = "en",
    ) -> None:
        self.bot = bot
        self._contacts = contacts
        self._language = language
        self.capabilities = Capabilities(
            markdown=settings.markdown, idempotent_send=True, images=sender.has_files, files=sender.has_files
        )
        self._settings = settings
        self._client = client
        self._sender = sender
        self._latest = _Latest()
        self._envelope = Envelope(
            token=settings.token.get_secret_value(),
            encoding_aes_key=settings.encoding_aes_key.get_secret_value(),
            receiver_id=settings.corpid,
            tolerance_s=settings.timestamp_tolerance_s,
        )

    def verify(self, inbound: Inbound) -> None:
        """Return if WeCom signed this call lately; else raise SignatureInvalid."""
        if "msg_signature" not in inbound.query:
            raise SignatureInvalid("msg_signature is missing")  # before anything is read
        encrypted = _echo(inbound) if inbound.method == "GET" else encrypted_in(inbound.body)
        self._envelope.verify(inbound.query, encrypted, now_ms=inbound.received_at_ms)

    def parse(self, inbound: Inbound) -> list[Message]:
        """The message in a verified call, none for an event or when the address is checked. Raises PayloadInvalid."""
        if inbound.method == "GET":
            return []
        message = payload.to_message(self._fields(inbound), self.bot)
        return [message] if message else []

    def news(self, inbound: Inbound) -> News:
        """The event in a verified call. Raises PayloadInvalid."""
        if inbound.method == "GET":
            return News()
        occurrence = payload.to_occurrence(self._fields(inbound))
        return News(occurrences=[occurrence] if occurrence else [])

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        """Nothing: any words would be shown to the member. When the address is checked, what was encrypted."""
        if inbound.method != "GET":
            return Acknowledgement()
        return Acknowledgement(self._envelope.open(_echo(inbound)), "text/plain")

    def render(self, answer: Answer) -> list[Part]:
        """The pieces to send, each within 2048 bytes; at most five of words. Pure."""
        return pieces.render(
            answer, as_markdown=self._settings.markdown, with_files=self._sender.has_files, lang=self._language
        )

    def send(self, outgoing: Outgoing, deadline: Deadline) -> str:
        """Deliver one piece; return WeCom's id of it. A second try of the same piece shows nothing twice.

        Raises Rejected, Throttled or Unavailable.
        """
        return self._sender.send(outgoing, deadline)

    def address_of(self, user_id: str, conversation_id: str) -> Mapping[str, JSON]:
        """A member by their user id; apps have no groups. Raises Rejected."""
        if conversation_id:
            raise Rejected("an app of WeCom writes to members, not to groups", kind="not_found", provider=self.name)
        if self._settings.agent_id is None:
            raise Rejected("agent_id must be configured to write first", kind="auth", provider=self.name)
        return {"user_id": user_id, "agent_id": self._settings.agent_id}

    def open_media(self, part: Part, address: Mapping[str, JSON], deadline: Deadline) -> AbstractContextManager[Media]:
        """The bytes of a picture, voice, video or file; WeCom keeps them for three days."""
        media_id = part.data.get("media_id")
        if not isinstance(media_id, str) or not media_id:
            raise Rejected("the message names no file", kind="not_found", provider=payload.PLATFORM)
        return self._client.download(media_id, deadline)

    def name_of(self, user_id: str, deadline: Deadline) -> str:
        """The member's name in the address book; "" without the secret of the address book."""
        if self._contacts is None:
            return ""
        answer = self._contacts.get("user/get", deadline, userid=user_id)
        return str(answer.get("name") or "")

    def examine(self, deadline: Deadline) -> str:
        """Fetches the access token and asks for the addresses that callbacks come from."""
        self._client.get("getcallbackip", deadline)
        return "GET /cgi-bin/getcallbackip"

    @property
    def token_names(self) -> Sequence[str]:
        """The app's one token."""
        return (self._client.token_name,)

    def _fields(self, inbound: Inbound) -> dict[str, JSON]:
        """What is inside; opened once, though messages and news are asked for one after the other."""
        if self._latest.inbound is not inbound:
            self._latest.fields = read_fields(self._envelope.open(encrypted_in(inbound.body)))
            self._latest.inbound = inbound
        return self._latest.fields


def _echo(inbound: Inbound) -> str:
    """`echostr`; a "+" that somebody on the way took for a blank is put back."""
    return inbound.query.get("echostr", "").replace(" ", "+")
