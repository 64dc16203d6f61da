"""The DingTalk robot: callbacks by HTTP in, answers by session webhook or server API out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import structlog

from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.platforms.base import Acknowledgement, Capabilities, Inbound
from mindbot_tasks.platforms.dingtalk import markdown, payload, signature
from mindbot_tasks.platforms.dingtalk.addresses import Address, trusted_webhook
from mindbot_tasks.platforms.dingtalk.client import Client
from mindbot_tasks.platforms.dingtalk.errors import PROVIDER
from mindbot_tasks.platforms.payload import read_object

log = structlog.get_logger(__name__)

#: a session webhook with less life than this is not tried any more
SESSION_MARGIN_MS = 60_000


class DingTalk:
    """One robot."""

    name: ClassVar[str] = "dingtalk"
    capabilities = Capabilities(markdown=True)

    def __init__(
        self, bot: str, settings: DingTalkSettings, client: Client, *, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self.bot = bot
        self._settings = settings
        self._client = client
        self._clock_ms = clock_ms

    def verify(self, inbound: Inbound) -> None:
        """Return if DingTalk signed this call; else raise SignatureInvalid."""
        signature.verify(
            inbound.headers,
            self._settings.client_secret.get_secret_value(),
            now_ms=inbound.received_at_ms,
            tolerance_s=self._settings.timestamp_tolerance_s,
        )

    def parse(self, inbound: Inbound) -> list[Message]:
        """The message in a verified call, if it holds one. Raises PayloadInvalid."""
        message = payload.to_message(read_object(inbound.body), self.bot, self._settings)
        return [message] if message else []

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        """DingTalk reads the status only."""
        return Acknowledgement(b"{}", "application/json")

    def render(self, answer: Answer) -> list[Part]:
        """The pieces to send, each within the limits of all ways to send them. Pure."""
        name = self._settings.robot_name or "MindBot"
        return markdown.render(answer, as_markdown=self._settings.markdown_card, name=name)

    def send(self, outgoing: Outgoing, deadline: Deadline) -> str:
        """Deliver one piece; return DingTalk's key of the delivery, "" from a session webhook.

        Raises Rejected, Throttled or Unavailable; its kind is "ambiguous" when the piece may have gone out.
        """
        address = Address.from_dict(outgoing.address)
        webhook = self._usable_webhook(address)
        if webhook:
            try:
                self._client.send_by_session(webhook, _session_body(outgoing, address), deadline)
            except Rejected as exc:
                if exc.kind != "session":
                    raise
                log.info("dingtalk_session_expired", message_id=outgoing.message_id)
            else:
                return ""
        return self._send_by_api(outgoing, address, deadline)

    def examine(self, deadline: Deadline) -> str:
        """Fetches an access token: whoever gets one has the right credentials."""
        self._client.ask_for_token(deadline)
        return "POST /v1.0/oauth2/accessToken"

    @property
    def token_names(self) -> Sequence[str]:
        """The app's one token."""
        return (self._client.token_name,)

    def _usable_webhook(self, address: Address) -> str:
        """The session webhook, "" if it is too old or not to be trusted."""
        if address.session_expires_at_ms and address.session_expires_at_ms - SESSION_MARGIN_MS <= self._clock_ms():
            return ""
        # looked at again: the settings may have changed since the message came
        return trusted_webhook(address.session_webhook, self._settings.oapi_base)

    def _send_by_api(self, outgoing: Outgoing, address: Address, deadline: Deadline) -> str:
        robot_code = address.robot_code or self._settings.robot_code or self._settings.client_id
        msg_key, param = _api_message(outgoing.part)
        if address.is_group:
            return self._client.send_to_group(robot_code, address.conversation_id, msg_key, param, deadline)
        if not address.staff_id:
            raise Rejected(
                "the session is over, and a person outside the organisation cannot be reached otherwise",
                kind="expired",
                provider=PROVIDER,
            )
        return self._client.send_to_person(robot_code, address.staff_id, msg_key, param, deadline)


def _session_body(outgoing: Outgoing, address: Address) -> Mapping[str, Any]:
    """The body for a session webhook; the first piece in a group names the asker, which highlights it for them."""
    part = outgoing.part
    text = part.text
    body: dict[str, Any] = {}
    if address.is_group and address.staff_id and outgoing.number == 0:
        text = f"@{address.staff_id} {text}" if part.kind == "text" else f"@{address.staff_id}\n\n{text}"
        body["at"] = {"atUserIds": [address.staff_id], "isAtAll": False}
    if part.kind == "text":
        return {"msgtype": "text", "text": {"content": text}, **body}
    return {"msgtype": "markdown", "markdown": {"title": _title(part), "text": text}, **body}


def _api_message(part: Part) -> tuple[str, Mapping[str, str]]:
    """msgKey and msgParam for the server API."""
    if part.kind == "text":
        return "sampleText", {"content": part.text}
    return "sampleMarkdown", {"title": _title(part), "text": part.text}


def _title(part: Part) -> str:
    return str(part.data.get("title") or markdown.title_of(part.text, ""))
