"""POST /_control/send: the emulator itself posts a robot callback to a webhook."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from emulators.calls import CallLog
from emulators.dingtalk.callbacks import Callback, Post, build
from emulators.dingtalk.sender import Sent, intent
from emulators.front import Front
from emulators.senders import Answered, as_json, ms_since, result

_FIELDS = {field.name for field in dataclasses.fields(Callback)}
_NUMBERS = {"timestamp_ms", "session_lifetime_s"}


def serve(front: Front) -> None:
    poster = Poster(front.log)
    front.app.router.add_post("/_control/send", poster.send)
    front.app.on_cleanup.append(poster.close)


class Poster:
    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._http: aiohttp.ClientSession | None = None

    async def close(self, _: web.Application) -> None:
        if self._http is not None:
            await self._http.close()

    async def send(self, request: web.Request) -> web.Response:
        """{"url", "app_secret", ...fields of Callback, "timeout_s"?, "redeliver_after_s"?} -> sent and answered.

        `redeliver_after_s`: post the same once more after so long if it was not answered with 200, as the platform
        was reported to do after 60 s.
        """
        try:
            values = orjson.loads(await request.read())
            url, secret, callback, timeout_s, again_s = _read(values)
        except (ValueError, TypeError) as exc:
            return web.json_response({"error": str(exc)}, status=400)
        post = build(callback, secret=secret, emulator_url=f"{request.scheme}://{request.host}")
        answers = [await self._once(url, post, callback, timeout_s) for _ in range(post.copies)]
        if again_s is not None and answers[-1].status != 200:
            await asyncio.sleep(again_s)
            answers.append(await self._once(url, post, callback, timeout_s))
        return web.json_response(as_json(Sent(post.msg_id, answers, post.conversation, post.session)))

    async def _once(self, url: str, post: Post, callback: Callback, timeout_s: float) -> Answered:
        if self._http is None:
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._log.noted("webhook", intent(post, callback))
        started = time.perf_counter()
        try:
            async with self._http.post(
                url, data=post.body, headers=post.headers, timeout=aiohttp.ClientTimeout(total=timeout_s)
            ) as response:
                text = await response.text(errors="replace")
                answered = Answered(response.status, text, ms_since(started))
        except (aiohttp.ClientError, TimeoutError) as exc:
            answered = Answered(0, "", ms_since(started), type(exc).__name__)
        self._log.noted("webhook_answer", result(post.msg_id, answered))
        return answered


def _read(values: Any) -> tuple[str, str, Callback, float, float | None]:
    """Raises ValueError or TypeError for what is not a callback to send."""
    if not isinstance(values, dict):
        raise ValueError("the body must be a JSON object")
    rest = dict(values)
    url, secret = rest.pop("url", None), rest.pop("app_secret", None)
    timeout_s, again_s = float(rest.pop("timeout_s", 5)), rest.pop("redeliver_after_s", None)
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise ValueError("url must be the address of a webhook")
    if not isinstance(secret, str):
        raise ValueError("app_secret must be a text")
    if unknown := set(rest) - _FIELDS:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(_FIELDS))}")
    for name, value in rest.items():
        wanted = (int, float) if name in _NUMBERS else bool if name == "group" else str
        if not isinstance(value, wanted):
            raise ValueError(f"{name} has the wrong type")
    return url, secret, Callback(**rest), timeout_s, None if again_s is None else float(again_s)
