"""The DingTalk robot: callbacks by HTTP in, answers by session webhook or server API out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

import orjson
import structlog

from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.core.words import say
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import JSON, Message, Outgoing, Part
from mindbot_tasks.model.news import News
from mindbot_tasks.platforms.base import Acknowledgement, Capabilities, Inbound, LiveAnswer, LiveTarget, Media
from mindbot_tasks.platforms.dingtalk import endings, feedback, markdown, messages, payload, signature
from mindbot_tasks.platforms.dingtalk.addresses import Address, trusted_webhook
from mindbot_tasks.platforms.dingtalk.cards import Cards
from mindbot_tasks.platforms.dingtalk.client import Client
from mindbot_tasks.platforms.dingtalk.endings import Ending
from mindbot_tasks.platforms.dingtalk.errors import PROVIDER
from mindbot_tasks.platforms.dingtalk.live import LiveCard
from mindbot_tasks.platforms.dingtalk.media import COVER, Files, ReadFile, upload_kind
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
        self,
        bot: str,
        settings: DingTalkSettings,
        client: Client,
        *,
        files: Files | None = None,
        read_file: ReadFile | None = None,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`files` and `read_file`: how files get to DingTalk and back, and out of our store."""
        self.bot = bot
        self._settings = settings
        self._client = client
        self._clock_ms = clock_ms
        self._cards = Cards(bot, settings, client)
        self._cards_rest = Holdoff(pause_s=CARDS_REST_S)
        live = settings.enable_stream_reply and bool(settings.card_template_id)
        self._files = files
        self._read_file = read_file
        sends = files is not None and read_file is not None
        self.capabilities = Capabilities(markdown=True, live=live, images=sends, files=sends)

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
        shown = [(part, messages.special(part, files=self.capabilities.files)) for part in answer.parts]
        words = replace(answer, parts=tuple(part for part, special in shown if special is None))
        pieces = markdown.render(words, as_markdown=self._settings.markdown_card, name=name)
        return pieces + [special for _, special in shown if special is not None]

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
                endings.close(self._cards, card, say("dingtalk.card_below", "zh"), deadline)
            return sent_id
        if outgoing.part.kind in messages.MEDIA:
            return self._send_file(outgoing, address, deadline)
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

    def abandon_live(self, target: LiveTarget, text: str, deadline: Deadline) -> None:
        """A card that was begun turns to its error state with this text."""
        card = self._cards.name_for(target.message_id, target.answer_key, Address.from_dict(target.address))
        if card:
            endings.close(self._cards, card, text, deadline)

    def _first_piece(self, text: str) -> str:
        """What of a text that still grows has its place on the card."""
        pieces = self.render(Answer(text, provider=""))
        return pieces[0].text if pieces else ""

    def _card_of(self, outgoing: Outgoing, address: Address) -> str:
        """The card that this piece belongs on, "" if it is an ordinary message: the card takes the first piece."""
        if outgoing.number > 0 or outgoing.part.kind not in ("text", "markdown"):
            return ""
        return self._cards.name_for(outgoing.message_id, outgoing.answer_key, address)

    def open_media(self, part: Part, address: Mapping[str, JSON], deadline: Deadline) -> AbstractContextManager[Media]:
        """The bytes of a picture, voice, video or file. Raises Rejected, Throttled or Unavailable."""
        if self._files is None:
            raise Rejected("files are not fetched here", kind="not_found", provider=PROVIDER)
        code = str(part.data.get("download_code") or "")
        return self._files.open(code, self._robot_code(Address.from_dict(address)), deadline)

    def _send_file(self, outgoing: Outgoing, address: Address, deadline: Deadline) -> str:
        """As a file by the API if DingTalk takes it; else what there is to say about it."""
        uploaded = self._upload(outgoing.part, deadline) if address.is_group or address.staff_id else None
        if uploaded is None:
            return self._send_message(replace(outgoing, part=messages.in_words(outgoing.part)), address, deadline)
        return self._send_by_api(uploaded, address, deadline)

    def _upload(self, part: Part, deadline: Deadline) -> tuple[str, Mapping[str, str]] | None:
        """msgKey and msgParam of the uploaded file; None when DingTalk does not take it."""
        file_id = part.data.get("file")
        if self._files is None or self._read_file is None or not isinstance(file_id, int):
            return None
        try:
            stored = self._read_file(file_id)
            name = str(part.data.get("name") or stored.name)
            kind, ending = upload_kind(part.kind, name, stored.media_type, stored.size)
            if not kind:
                log.warning("dingtalk_file_left_out", kind=part.kind, media_type=stored.media_type, size=stored.size)
                return None
            content = b"".join(stored.chunks())
            media_id = self._files.upload(kind, ending, content, stored.media_type, deadline)
            cover = self._files.upload("image", "png", COVER, "image/png", deadline) if kind == "video" else ""
        except Rejected as exc:
            log.warning("dingtalk_file_refused", kind=exc.kind, code=exc.code)
            return None
        return messages.for_file(part, kind, ending, name, media_id, cover)

    def address_of(self, user_id: str, conversation_id: str) -> Mapping[str, JSON]:
        """By the server API: to a person by user id, to a group by openConversationId."""
        address = Address(
            session_webhook="",
            session_expires_at_ms=0,
            robot_code=self._settings.robot_code or self._settings.client_id,
            staff_id=user_id,
            conversation_id=conversation_id or user_id,
            is_group=bool(conversation_id),
        )
        return address.to_dict()

    def _send_message(self, outgoing: Outgoing, address: Address, deadline: Deadline) -> str:
        webhook = self._usable_webhook(address)
        if webhook:
            try:
                self._client.send_by_session(webhook, messages.for_session(outgoing, address), deadline)
            except Rejected as exc:
                if exc.kind != "session":
                    raise
                log.info("dingtalk_session_expired", message_id=outgoing.message_id)
            else:
                return ""
        return self._send_by_api(messages.for_api(outgoing.part), address, deadline)

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

    def _send_by_api(self, message: tuple[str, Mapping[str, str]], address: Address, deadline: Deadline) -> str:
        msg_key, param = message
        robot_code = self._robot_code(address)
        if address.is_group:
            return self._client.send_to_group(robot_code, address.conversation_id, msg_key, param, deadline)
        if not address.staff_id:
            raise Rejected(
                "the session is over, and a person outside the organisation cannot be reached otherwise",
                kind="expired",
                provider=PROVIDER,
            )
        return self._client.send_to_person(robot_code, address.staff_id, msg_key, param, deadline)

    def _robot_code(self, address: Address) -> str:
        return address.robot_code or self._settings.robot_code or self._settings.client_id
