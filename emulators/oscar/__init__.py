"""AIM: an OSCAR server with peers who speak when told to; its control API is HTTP like that of all emulators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from emulators.faults import AnyRule
from emulators.front import Front, no_such_path
from emulators.oscar.client import Switches
from emulators.oscar.limiter import faster
from emulators.oscar.server import OscarServer

__all__ = ["OscarServer", "Switches", "create_app"]


def create_app(
    *,
    log: Path | None = None,
    delay_ms: float = 0,
    tokens_per_second: float = 0,
    faults: Sequence[AnyRule] = (),
    oscar_host: str = "127.0.0.1",
    oscar_port: int = 0,
    accounts: Mapping[str, str] | None = None,
    haste: float = 1,
) -> web.Application:
    """`accounts`: screen name -> password; None: every name is let in. `haste`: so many times the usual rate limits."""

    def note(event: str, fields: dict[str, Any]) -> None:
        front.log.noted(event, fields)

    server = OscarServer(accounts, note=note, classes=faster(haste), switches=Switches(delay_ms=delay_ms))
    front = Front(
        "oscar", unknown=no_such_path, reset=server.reset, log=log, delay_ms=delay_ms,
        tokens_per_second=tokens_per_second, faults=faults,
    )  # fmt: skip
    front.control("GET", "/oscar", lambda _: {
        "port": server.port, "online": server.online(), "complaints": server.complaints,
    })  # fmt: skip
    front.control("POST", "/switches", server.switches.set)

    def set_offline(data: dict[str, Any]) -> None:
        server.offline = {str(name).replace(" ", "").lower() for name in data.get("names", ())}

    front.control("POST", "/offline", set_offline)

    async def say(request: web.Request) -> web.Response:
        data = await _object(request)
        cookie = bytes.fromhex(str(data["cookie"])) if data.get("cookie") else None
        if cookie is not None and len(cookie) != 8:
            raise web.HTTPBadRequest(text="a cookie has eight bytes")
        told = await server.say(
            str(data.get("from", "alice")),
            str(data.get("to", "")),
            str(data.get("text", "")),
            cookie=cookie,
            charset=data.get("charset"),
            automatic=bool(data.get("automatic")),
        )
        return web.json_response(told)

    async def end(request: web.Request) -> web.Response:
        data = await _object(request)
        ended = await server.end(str(data.get("name", "")), str(data.get("how", "")))
        return web.json_response({"ended": ended})

    front.app.router.add_post("/_control/send", say)
    front.app.router.add_post("/_control/end", end)

    async def start(_: web.Application) -> None:
        await server.start(oscar_host, oscar_port)

    async def stop(_: web.Application) -> None:
        await server.stop()

    front.app.on_startup.append(start)
    front.app.on_shutdown.append(stop)
    return front.finish()


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        data = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise web.HTTPBadRequest(text="the body must be a JSON object")
    return data
