"""Somebody presses a button of a card: the callback as DingTalk posts it, signed in a way of its own.

signature = base64(HMAC-SHA256(key = apiSecret, timestamp in ms)). DingTalk docs, 2026-11-20.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from emulators.dingtalk.cards import Cards
from emulators.front import Front


def sign(timestamp: str, api_secret: str) -> str:
    return base64.b64encode(hmac.new(api_secret.encode(), timestamp.encode(), hashlib.sha256).digest()).decode()


def headers(api_secret: str, *, at_ms: int = 0) -> dict[str, str]:
    """The headers of a callback; `at_ms` 0: now."""
    timestamp = str(at_ms or time.time_ns() // 1_000_000)
    return {
        "Content-Type": "application/json",
        "x-ddpaas-signature-timestamp": timestamp,
        "x-ddpaas-signature": sign(timestamp, api_secret),
    }


def body(card: str, user: str, action: str, *, group: str = "", params: dict[str, Any] | None = None) -> dict[str, Any]:
    """The callback; in Stream mode it is the `data` of a frame."""
    content = {"cardPrivateData": {"actionIds": [action], "params": params or {}}}
    return {
        "type": "actionCallback",
        "outTrackId": card,
        "corpId": "ding0001",
        "userId": user,
        "userIdType": 1,
        "spaceId": group or user,
        "spaceType": "IM_GROUP" if group else "IM",
        "extension": "{}",
        "content": orjson.dumps(content).decode(),
    }


def serve(front: Front, cards: Cards) -> None:
    async def press(request: web.Request) -> web.Response:
        """{"card", "user", "action", "route_key" or "url" and "secret"} -> what the receiver answered."""
        try:
            values = orjson.loads(await request.read())
            url, secret = cards.routes.get(values.get("route_key", "")) or (values["url"], values["secret"])
            posted = body(values["card"], values["user"], values["action"], params=values.get("params"))
        except (orjson.JSONDecodeError, KeyError, AttributeError) as exc:
            return web.json_response({"error": f"{type(exc).__name__}: {exc}"}, status=400)
        front.log.noted("card_callback", {"card": values["card"], "user": values["user"], "action": values["action"]})
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                url, data=orjson.dumps(posted), headers=headers(secret), timeout=aiohttp.ClientTimeout(total=5)
            ) as response,
        ):
            text = await response.text(errors="replace")
            return web.json_response({"status": response.status, "body": text})

    front.app.router.add_post("/_control/press", press)
