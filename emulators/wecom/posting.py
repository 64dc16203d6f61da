"""POST /_control/send and /_control/verify: the emulator itself calls a webhook."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import orjson
from aiohttp import web

from emulators.front import Front
from emulators.senders import as_json
from emulators.wecom.api import Api
from emulators.wecom.callbacks import App, Callback
from emulators.wecom.sender import REPEATS, TIMEOUT_S, WeComSender

_FIELDS = {field.name for field in dataclasses.fields(Callback)}


def serve(front: Front, _: Api) -> None:
    front.app.router.add_post("/_control/send", _send)
    front.app.router.add_post("/_control/verify", _verify)


async def _send(request: web.Request) -> web.Response:
    """{"url", "token", "encoding_aes_key", "corpid", ...fields of Callback, "timeout_s"?, "repeats"?} -> answers."""
    return await _with_sender(request, lambda sender, rest: as_json(sender.post(Callback(**rest))))


async def _verify(request: web.Request) -> web.Response:
    """{"url", "token", "encoding_aes_key", "corpid"} -> how the address answered."""
    return await _with_sender(request, lambda sender, _: dataclasses.asdict(sender.verify()))


async def _with_sender(request: web.Request, act: Any) -> web.Response:
    try:
        values = orjson.loads(await request.read())
        if not isinstance(values, dict):
            raise ValueError("the body must be a JSON object")
        url = values.pop("url", None)
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise ValueError("url must be the address of a webhook")
        app = App(*(str(values.pop(name, "")) for name in ("token", "encoding_aes_key", "corpid")))
        timeout_s, repeats = float(values.pop("timeout_s", TIMEOUT_S)), int(values.pop("repeats", REPEATS))
        if unknown := set(values) - _FIELDS:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(_FIELDS))}")
        with WeComSender(url, app, timeout_s=timeout_s, repeats=repeats) as sender:
            # in a thread: it waits for the webhook, which may call us meanwhile
            return web.json_response(await asyncio.to_thread(act, sender, values))
    except (ValueError, TypeError, AssertionError) as exc:
        return web.json_response({"error": str(exc) or "encoding_aes_key must have 43 characters"}, status=400)
