"""Incident services: PagerDuty's Events API v2 and Opsgenie's alerts; an incident is known by its key."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from emulators.answers import Answer, Call, json_answer, refused
from emulators.faults import AnyRule
from emulators.front import Front, no_such_path

_MOST_BYTES = 512 * 1024


def create_app(
    *,
    log: Path | None = None,
    delay_ms: float = 0,
    tokens_per_second: float = 0,
    faults: Sequence[AnyRule] = (),
    key: str = "",
) -> web.Application:
    """Both services at one address. `key` "": every key is taken."""
    server = IncidentServer(key)
    front = server.front = Front(
        "incidents", unknown=no_such_path, reset=server.reset, log=log, delay_ms=delay_ms,
        tokens_per_second=tokens_per_second, faults=faults,
    )  # fmt: skip
    front.add("POST", "/v2/enqueue", server.enqueue)
    front.add("POST", "/v2/alerts", server.alert)
    front.add("POST", "/v2/alerts/{alias}/{action:close|acknowledge}", server.change)
    front.add("GET", "/v2/alerts/requests/{request}", server.request)
    front.control("GET", "/incidents", lambda _: server.incidents)
    return front.finish()


class IncidentServer:
    """The incidents by their keys: how often they were told of, and their state."""

    front: Front

    def __init__(self, key: str) -> None:
        self._key = key
        self.incidents: dict[str, dict[str, Any]] = {}
        self._requests: dict[str, bool] = {}

    def reset(self) -> None:
        self.incidents.clear()
        self._requests.clear()

    def enqueue(self, call: Call) -> Answer:
        given = call.json or {}
        problems = []
        key = str(given.get("routing_key", ""))
        if not key or (self._key and key != self._key):
            problems.append("'routing_key' is invalid")
        action = given.get("event_action")
        if action not in ("trigger", "acknowledge", "resolve"):
            problems.append("'event_action' is invalid")
        payload = given.get("payload")
        if action == "trigger" and not (
            isinstance(payload, dict)
            and payload.get("summary")
            and payload.get("source")
            and payload.get("severity") in ("critical", "error", "warning", "info")
        ):
            problems.append("'payload' lacks summary, source or severity")
        if action != "trigger" and not given.get("dedup_key"):
            problems.append("'dedup_key' is missing")
        if len(str(given.get("dedup_key", ""))) > 255 or len(call.body) > _MOST_BYTES:
            problems.append("too long")
        if problems:
            body = {"status": "invalid event", "message": "Event object is invalid", "errors": problems}
            return refused(body, 400, facts={"action": action})
        alias = str(given.get("dedup_key") or secrets.token_hex(16))
        self._told(alias, str(action), str((payload or {}).get("summary", "")))
        body = {"status": "success", "message": "Event processed", "dedup_key": alias}
        return json_answer(body, 202, facts={"action": action, "key": alias}, delay_s=self.front.pace.delay_ms / 1000)

    def alert(self, call: Call) -> Answer:
        given = call.json or {}
        if refusal := self._not_let_in(call):
            return refusal
        message = str(given.get("message", ""))
        if not message or len(message) > 130:
            return refused({"message": "Request body is not processable", "took": 0.0, "requestId": ""}, 422)
        alias = str(given.get("alias") or secrets.token_hex(16))
        self._told(alias, "trigger", message)
        return self._taken(True, "trigger", alias)

    def change(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        alias, action = call.params["alias"], call.params["action"]
        known = call.query.get("identifierType") == "alias" and alias in self.incidents
        action = "resolve" if action == "close" else action
        if known:
            self._told(alias, action, "")
        return self._taken(known, action, alias)

    def request(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        success = self._requests.get(call.params["request"])
        if success is None:
            return refused({"message": "Request not found"}, 404)
        status = "Created alert" if success else "Alert does not exist"
        return json_answer({"data": {"success": success, "isSuccess": success, "status": status}, "took": 0.01})

    def _taken(self, success: bool, action: str, alias: str) -> Answer:
        request = secrets.token_hex(8)
        self._requests[request] = success
        body = {"result": "Request will be processed", "took": 0.02, "requestId": request}
        return json_answer(body, 202, facts={"action": action, "key": alias}, delay_s=self.front.pace.delay_ms / 1000)

    def _told(self, alias: str, action: str, summary: str) -> None:
        known = self.incidents.setdefault(alias, {"state": "", "times": 0, "summary": summary})
        known["times"] += 1
        known["state"] = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}[action]

    def _not_let_in(self, call: Call) -> Answer | None:
        scheme, _, given = call.headers.get("Authorization", "").partition(" ")
        if scheme == "GenieKey" and given and (not self._key or given == self._key):
            return None
        return refused({"message": "Could not authenticate", "took": 0.0, "requestId": secrets.token_hex(8)}, 401)
