"""The DingTalk robot: callbacks by HTTP in, answers by session webhook or server API out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import orjson
import structlog

from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.model.news import News
from mindbot_tasks.platforms.base import Acknowledgement, Capabilities, Inbound, LiveAnswer, LiveTarget
from mindbot_tasks.platforms.dingtalk import endings, feedback, markdown, payload, signature
from mindbot_tasks.platforms.dingtalk.addresses import Address, trusted_webhook
from mindbot_tasks.platforms.dingtalk.cards import Cards
from mindbot_tasks.platforms.dingtalk.client import Client
from mindbot_tasks.platforms.dingtalk.endings import Ending
from mindbot_tasks.platforms.dingtalk.errors import PROVIDER
from mindbot_tasks.platforms.dingtalk.live import LiveCard
from mindbot_tasks.platforms.payload import read_object

log = structlog.get_logger(__name__)

_NO_NEWS = News()

#: a session webhook with less life than this is not tried any more
SESSION_MARGIN_MS = 60_000
#: seconds without new cards after DingTalk refused one (no such template, no permission, no calls left this month)
CARDS_REST_S = 60.0


class DingTalk:
    """One robot."""

    name: ClassVar[str] = "dingtalk"

    def __init__(
        self, bot: str, settings: DingTalkSettings, client: Client, *, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self.bot = bot
        self._settings = settings
        self._client = client
        self._clock_ms = clock_ms
        self._cards = Cards(bot, settings, client)
        self._cards_rest = Holdoff(pause_s=CARDS_REST_S)
        live = settings.enable_stream_reply and bool(settings.card_template_id)
        self.capabilities = Capabilities(markdown=True, live=live)

    def verify(self, inbound: Inbound) -> None:
        """Return if DingTalk signed this call; else raise SignatureInvalid."""
        if feedback.is_card_call(inbound):
            secret = self._settings.card_callback_secret
            feedback.verify(
                inbound.headers,
                secret.get_secret_value() if secret else "",
                now_ms=inbound.received_at_ms,
                tolerance_s=self._settings.timestamp_tolerance_s,
            )
            return
        signature.verify(
            inbound.headers,
            self._settings.client_secret.get_secret_value(),
            now_ms=inbound.received_at_ms,
            tolerance_s=self._settings.timestamp_tolerance_s,
        )

    def parse(self, inbound: Inbound) -> list[Message]:
        """The message in a verified call, if it holds one. Raises PayloadInvalid."""
        if feedback.is_card_call(inbound):
            return []
        message = payload.to_message(read_object(inbound.body), self.bot, self._settings)
        return [message] if message else []

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        """Of messages, DingTalk reads the status only; to a pressed button the answer says how the card looks now."""
        if feedback.is_card_call(inbound):
            _, answer = feedback.read(inbound.body, self._settings)
            return Acknowledgement(orjson.dumps(answer), "application/json")
        return Acknowledgement(b"{}", "application/json")

    def news(self, inbound: Inbound) -> News:
        """The vote of somebody who pressed a button on a card. Raises PayloadInvalid."""
        if not feedback.is_card_call(inbound):
            return _NO_NEWS
        vote, _ = feedback.read(inbound.body, self._settings)
        return News(feedback=[vote]) if vote else _NO_NEWS

    def register(self, url: str, deadline: Deadline) -> str:
        """Have pressed buttons called to this URL; "" when they come another way, or cards are not set up for it."""
        secret, key = self._settings.card_callback_secret, self._settings.card_route_key
        if self._settings.mode == "stream" or not key or not secret:
            return ""
        body = {
            "callbackRouteKey": key,
            "callbackUrl": url,
            "apiSecret": secret.get_secret_value(),
            "forceUpdate": True,
        }
        self._client.call("/v1.0/card/callbacks/register", body, deadline, repeatable=True)
        return key

    def render(self, answer: Answer) -> list[Part]:
        """The pieces to send, each within the limits of all ways to send them. Pure."""
        name = self._settings.robot_name or "MindBot"
        return markdown.render(answer, as_markdown=self._settings.markdown_card, name=name)

    def send(self, outgoing: Outgoing, deadline: Deadline) -> str:
        """Deliver one piece; return the name of its card, DingTalk's key of the delivery, or "" from a session webhook.

        Raises Rejected, Throttled or Unavailable; its kind is "ambiguous" when the piece may have gone out.
        """
        address = Address.from_dict(outgoing.address)
        card = self._card_of(outgoing, address)
        if card:
            became = endings.end(self._cards, card, outgoing, address, deadline)
            if became is Ending.DONE:
                return card
            sent_id = self._send_message(outgoing, address, deadline)
            if became is Ending.LEFT_OPEN:
                endings.refer_below(self._cards, card, deadline)
            return sent_id
        return self._send_message(outgoing, address, deadline)

    def begin_live(self, target: LiveTarget, deadline: Deadline) -> LiveAnswer | None:
        """The card of this message, if the robot answers with cards and the asker can be sent one."""
        address = Address.from_dict(target.address)
        card = self._cards.name_for(target.message_id, target.answer_key, address)
        if not card or not self._cards_rest.allows():
            return None
        return LiveCard(
            self._cards,
            card,
            address,
            deadline,
            render=self._first_piece,
            may_show=self._client.may_show,
            holdoff=self._cards_rest,
            every_s=self._settings.card_update_s,
        )

    def _first_piece(self, text: str) -> str:
        """What of a text that still grows has its place on the card."""
        pieces = self.render(Answer(text, provider=""))
        return pieces[0].text if pieces else ""

    def _card_of(self, outgoing: Outgoing, address: Address) -> str:
        """The card that this piece belongs on, "" if it is an ordinary message: the card takes the first piece."""
        if outgoing.number > 0 or outgoing.part.kind not in ("text", "markdown"):
            return ""
        return self._cards.name_for(outgoing.message_id, outgoing.answer_key, address)

    def _send_message(self, outgoing: Outgoing, address: Address, deadline: Deadline) -> str:
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
