"""What all emulators share: read a call, let a fault strike, perform, log, answer; and the control API under /_control.

The order is the point: a call is performed and its line is in the log before anything can interrupt it, so "logged as
accepted" and "had its effect" are the same thing, whoever is killed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import orjson
from aiohttp import web
from pydantic import ValidationError

from emulators.answers import Answer, Call, Perform, refused
from emulators.bending import bend, instead
from emulators.calls import CallLog, Outcome, fingerprint
from emulators.delivery import deliver
from emulators.faults import AnyRule, Faults, parse_rules

MAX_BODY_BYTES = 2 * 1024 * 1024

Control = Callable[[dict[str, Any]], object]


@dataclass(slots=True)
class Pace:
    """How fast this emulator answers when nothing is wrong."""

    delay_ms: float = 0  #: before the first byte
    tokens_per_second: float = 0  #: 0: all at once

    def set(self, values: dict[str, Any]) -> None:
        """Raises ValueError for what is not a pace."""
        if unknown := set(values) - {"delay_ms", "tokens_per_second"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: delay_ms, tokens_per_second")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"{name} must be a number that is not negative")
            setattr(self, name, float(value))


class Usual(TypedDict, total=False):
    """What every emulator can be given, for its `Front`."""

    log: Path | None
    delay_ms: float
    tokens_per_second: float
    faults: Sequence[AnyRule]


class Front:
    """The HTTP side of one emulator; `app` is what is served."""

    def __init__(
        self,
        name: str,
        *,
        unknown: Perform,
        reset: Callable[[], None],
        log: Path | None = None,
        delay_ms: float = 0,
        tokens_per_second: float = 0,
        faults: Sequence[AnyRule] = (),
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.log = CallLog(name, log)
        self.faults = Faults(faults)
        self.pace = Pace(delay_ms, tokens_per_second)
        self._unknown = unknown
        self._reset = reset
        self._stopping = False
        self.app = web.Application(client_max_size=max_body_bytes)
        self.control("GET", "/faults", lambda _: self.faults.describe())
        self.control("DELETE", "/faults", lambda _: self.faults.clear())
        self.control("POST", "/pace", self.pace.set)
        self.control("POST", "/reset", self._reset_all)
        self.app.router.add_post("/_control/faults", self._add_faults)
        self.app.router.add_get("/_control/calls", self._calls)
        self.app.on_shutdown.append(self._stop)
        self.app.on_cleanup.append(self._close)

    def add(self, method: str, path: str, perform: Perform) -> None:
        """Serve a vendor's endpoint."""
        self.app.router.add_route(method, path, self._view(perform))

    def control(self, method: str, path: str, act: Control) -> None:
        """Serve /_control + `path`; `act` gets the JSON object and returns what is answered. ValueError makes a 400."""

        async def view(request: web.Request) -> web.Response:
            try:
                return _json(act(await _object(request)))
            except ValueError as exc:
                return _json({"error": str(exc)}, 400)

        self.app.router.add_route(method, "/_control" + path, view)

    def finish(self) -> web.Application:
        """The application, once every endpoint has been added; other paths are calls too, and are logged."""
        self.app.router.add_route("*", "/{elsewhere:.*}", self._view(self._unknown))
        return self.app

    def _view(self, perform: Perform) -> Callable[[web.Request], Any]:
        async def view(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            try:
                body = await request.read()
            except web.HTTPRequestEntityTooLarge:
                body, answer, rule = b"", refused({"message": "the body is too large"}, 413), None
                call = self._call(request, body, None)
            else:
                rule = self.faults.strike(request.method, request.path, body)
                call = self._call(request, body, rule)
                answer = bend(instead(rule) or perform(call), rule)
            # From reading the body to this line nothing waits: no cancellation can come between.
            record = self.log.received(
                {
                    "method": call.method,
                    "path": call.path,
                    "auth": _auth(call),
                    "status": answer.status,
                    "accepted": answer.accepted,
                    "fault": None if rule is None else rule.action,
                    **answer.facts,
                }
            )
            outcome: Outcome = "client_gone"
            try:
                response, outcome = await deliver(request, answer, rule)
            except asyncio.CancelledError:
                outcome = "stopped" if self._stopping else "client_gone"
                raise
            except ConnectionResetError:
                return web.Response()
            finally:
                self.log.ended(record, outcome, started)
                if answer.on_end is not None:
                    answer.on_end()
            return response

        return view

    def _call(self, request: web.Request, body: bytes, rule: AnyRule | None) -> Call:
        data: object = None
        if body:
            try:
                data = orjson.loads(body)
            except orjson.JSONDecodeError:
                data = None
        return Call(
            method=request.method,
            path=request.path,
            params=request.match_info,
            query=request.query,
            headers=request.headers,
            body=body,
            json=data if isinstance(data, dict) else None,
            fault=rule,
        )

    async def _add_faults(self, request: web.Request) -> web.Response:
        try:
            rules = parse_rules(orjson.loads(await request.read()))
        except (ValidationError, orjson.JSONDecodeError) as exc:
            return _json({"error": str(exc)}, 400)
        self.faults.add(rules)
        return _json(self.faults.describe())

    async def _calls(self, request: web.Request) -> web.Response:
        try:
            since, limit = int(request.query.get("since", 0)), int(request.query.get("limit", 1000))
        except ValueError:
            return _json({"error": "since and limit are whole numbers"}, 400)
        return _json(self.log.since(since, limit))

    def _reset_all(self, _: dict[str, Any]) -> None:
        self.faults.clear()
        self.log.forget()
        self._reset()

    async def _stop(self, _: web.Application) -> None:
        self._stopping = True

    async def _close(self, _: web.Application) -> None:
        self.log.close()


def _auth(call: Call) -> str | None:
    headers = call.headers
    secret = (
        call.bearer
        or headers.get("x-acs-dingtalk-access-token", "")
        or headers.get("Authorization", "")
        or call.query.get("access_token", "")
    )
    return fingerprint(secret) if secret else None


async def _object(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        data = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as exc:
        raise ValueError(f"the body is not JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise ValueError("the body must be a JSON object")
    return data


def _json(data: object, status: int = 200) -> web.Response:
    body = orjson.dumps({"ok": True} if data is None else data, default=str)
    return web.Response(status=status, body=body, content_type="application/json")


def no_such_path(call: Call) -> Answer:
    """The answer of a vendor without a shape of its own for it."""
    return refused({"code": "not_found", "message": f"{call.method} {call.path} is not known here", "status": 404}, 404)
