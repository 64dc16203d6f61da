"""AI cards: one card for each answer, created and delivered once, streamed into, finished; each call can be repeated.

The name of a card follows from the message, so whoever goes on with a message after a crash goes on with its card.
DingTalk docs, 2026-11-20.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.core.words import say
from mindbot_tasks.platforms.dingtalk.addresses import Address
from mindbot_tasks.platforms.dingtalk.errors import PROVIDER

#: templates that everybody may use, and that show nothing unless they are told their state beside the stream
PUBLIC_AI_TEMPLATES = frozenset(
    {"382e4302-551d-4880-bf29-a30acfab2e71.schema", "02fcf2f4-5e02-4a85-b672-46d1f715543e.schema"}
)
PROCESSING, INPUTING, FINISHED, FAILED = "1", "2", "3", "5"
_TRACK_ID = re.compile(r"mindbot\.([0-9]{1,18})\.[0-9a-f]{32}")


class Calls(Protocol):
    """What the cards need of the client."""

    def call(
        self, path: str, body: Mapping[str, Any], deadline: Deadline, *, method: str = ..., repeatable: bool = ...
    ) -> dict[str, Any]:
        """One call of the new API."""


def message_of(track_id: str) -> int | None:
    """Our id of the message that a card answers; None for a card of somebody else."""
    match = _TRACK_ID.fullmatch(track_id)
    return int(match[1]) if match else None


class Cards:
    """The cards of one robot."""

    def __init__(self, bot: str, settings: DingTalkSettings, client: Calls) -> None:
        self._bot = bot
        self._settings = settings
        self._client = client
        self.tells_state = settings.card_template_id in PUBLIC_AI_TEMPLATES
        self._key = settings.card_content_key or ("msgContent" if self.tells_state else "content")

    def name_for(self, message_id: int, answer_key: str, address: Address) -> str:
        """The outTrackId of the card of this message, at most 64 characters; "" if it cannot have one."""
        on = self._settings.enable_stream_reply and self._settings.card_template_id
        if not on or not (address.conversation_id if address.is_group else address.staff_id):
            return ""
        seal = hashlib.sha256(f"{self._settings.client_id} {self._bot} {answer_key}".encode()).hexdigest()[:32]
        return f"mindbot.{message_id}.{seal}"

    def open(self, name: str, address: Address, deadline: Deadline) -> None:
        """Create and deliver; a card that is there already is as good. Raises Rejected, Throttled or Unavailable."""
        try:
            answer = self._client.call(
                "/v1.0/card/instances/createAndDeliver", self._new_card(name, address), deadline, repeatable=True
            )
        except Rejected as exc:
            if exc.kind == "exists":
                return
            raise
        # success of the call is not yet success of the delivery
        result = answer.get("result")
        delivered = result.get("deliverResults") if isinstance(result, dict) else None
        for one in delivered if isinstance(delivered, list) else ():
            if isinstance(one, dict) and one.get("success") is False:
                raise Rejected("DingTalk did not deliver the card", kind="card", provider=PROVIDER)

    def begin_input(self, name: str, deadline: Deadline) -> None:
        """Once before the first text, if the template wants to be told. Raises as `open`."""
        self._update(name, {"flowStatus": INPUTING}, deadline)

    def show(self, name: str, text: str, deadline: Deadline) -> None:
        """The text so far, which must not be empty. Raises as `open`."""
        self._stream(name, text, deadline, guid=str(uuid.uuid4()))

    def finish(self, name: str, text: str, deadline: Deadline, *, failed: bool = False) -> None:
        """The whole text, and the end of the card: finished or failed. Raises as `open`."""
        # the same guid for each try of the same end
        seed = hashlib.sha256(f"{name} {failed} {text}".encode("utf-8", "replace")).digest()
        guid = str(uuid.UUID(bytes=seed[:16], version=4))
        self._stream(name, text, deadline, guid=guid, last="isError" if failed else "isFinalize")
        self.tell_end(name, text, deadline, failed=failed)

    def tell_end(self, name: str, text: str, deadline: Deadline, *, failed: bool = False) -> None:
        """What follows the last text of a card whose template wants to be told. Raises as `open`."""
        if self.tells_state:
            self._update(name, {self._key: text, "flowStatus": FAILED if failed else FINISHED}, deadline)

    def _stream(self, name: str, text: str, deadline: Deadline, *, guid: str, last: str = "") -> None:
        ends = {"isFinalize": last == "isFinalize", "isError": last == "isError"}
        # markdown variables take whole texts only
        body = {"outTrackId": name, "guid": guid, "key": self._key, "content": text, "isFull": True, **ends}
        self._client.call("/v1.0/card/streaming", body, deadline, method="PUT", repeatable=True)

    def _update(self, name: str, values: Mapping[str, str], deadline: Deadline) -> None:
        body = {
            "outTrackId": name,
            "cardData": {"cardParamMap": dict(values)},
            "cardUpdateOptions": {"updateCardDataByKey": True},  # else the other values would be gone
        }
        self._client.call("/v1.0/card/instances", body, deadline, method="PUT", repeatable=True)

    def _new_card(self, name: str, address: Address) -> dict[str, Any]:
        settings = self._settings
        values = {self._key: "", **({"flowStatus": PROCESSING} if self.tells_state else {})}
        by_http = settings.mode == "http" and bool(settings.card_route_key)
        body: dict[str, Any] = {
            "cardTemplateId": settings.card_template_id,
            "outTrackId": name,
            # never left out: later calls were seen to fail without it
            "callbackType": "HTTP" if by_http else "STREAM",
            "cardData": {"cardParamMap": values},
            "userIdType": 1,
        }
        if by_http:
            body["callbackRouteKey"] = settings.card_route_key
        robot_code = address.robot_code or settings.robot_code or settings.client_id
        summary = {
            "ZH_CN": say("dingtalk.card_summary", "zh"),
            "EN_US": say("dingtalk.card_summary", "en"),
        }
        space = {"supportForward": True, "lastMessageI18n": summary}
        if address.is_group:
            body["openSpaceId"] = f"dtv1.card//IM_GROUP.{address.conversation_id}"
            body["imGroupOpenSpaceModel"] = space
            to = {"atUserIds": {address.staff_id: address.nick or address.staff_id}} if address.staff_id else {}
            body["imGroupOpenDeliverModel"] = {"robotCode": robot_code, **to}
        else:
            body["openSpaceId"] = f"dtv1.card//IM_ROBOT.{address.staff_id}"
            body["imRobotOpenSpaceModel"] = space
            body["imRobotOpenDeliverModel"] = {"spaceType": "IM_ROBOT", "robotCode": robot_code}
        return body
