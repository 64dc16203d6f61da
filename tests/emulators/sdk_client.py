"""DingTalk's own SDK as a program: connects to the gateway of argv[1] and prints what its handlers were given."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import dingtalk_stream
from dingtalk_stream import AckMessage, Credential, DingTalkStreamClient


def tell(kind: str, what: Any) -> None:
    print(json.dumps([kind, what]), flush=True)  # noqa: T201


class Robot(dingtalk_stream.ChatbotHandler):  # type: ignore[misc]
    async def process(self, callback: Any) -> tuple[int, Any]:
        message = dingtalk_stream.ChatbotMessage.from_dict(callback.data)
        tell("robot", [message.message_id, message.text.content.strip(), message.conversation_type])
        return AckMessage.STATUS_OK, "OK"


class Card(dingtalk_stream.CallbackHandler):  # type: ignore[misc]
    async def process(self, callback: Any) -> tuple[int, Any]:
        tell("card", callback.data["outTrackId"])
        return AckMessage.STATUS_OK, {"cardData": {"cardParamMap": {"feedback": "up"}}}


class Event(dingtalk_stream.EventHandler):  # type: ignore[misc]
    async def process(self, event: Any) -> tuple[int, Any]:
        tell("event", event.headers.event_type)
        return AckMessage.STATUS_OK, "OK"


if __name__ == "__main__":
    DingTalkStreamClient.OPEN_CONNECTION_API = sys.argv[1] + "/v1.0/gateway/connections/open"
    client = DingTalkStreamClient(Credential("dingapp0001", "s"), logging.getLogger("sdk"))
    client.get_host_ip = lambda: "127.0.0.1"
    client.register_callback_handler("/v1.0/im/bot/messages/get", Robot())
    client.register_callback_handler("/v1.0/card/instances/callback", Card())
    client.register_all_event_handler(Event())
    client.start_forever()
