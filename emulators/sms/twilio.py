"""Twilio's messages: taken, then on their way, with signed status callbacks; and people who answer by SMS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

from emulators.answers import Answer, Call, json_answer, refused
from emulators.faults import AnyRule
from emulators.front import Front

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MOST_CHARS = 1600
#: what a message can come to, by the word for it
WAYS: Mapping[str, Sequence[tuple[str, int | None]]] = {
    "delivered": (("sent", None), ("delivered", None)),
    "undelivered": (("sent", None), ("undelivered", 30003)),
    "failed": (("failed", 30008),),
    "silent": (),  #: accepted, and never heard of again
    "reversed": (("delivered", None), ("sent", None)),  #: callbacks out of order
}


def sign(token: str, url: str, fields: Mapping[str, str]) -> str:
    """https://www.twilio.com/docs/usage/security: HMAC-SHA1 of the address and the sorted form."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def create_app(
    *,
    log: Path | None = None,
    delay_ms: float = 0,
    tokens_per_second: float = 0,
    faults: Sequence[AnyRule] = (),
    account_sid: str = "",
    auth_token: str = "",
    outcome: str = "delivered",
    callback_ms: float = 50,
) -> web.Application:
    """`account_sid` "": every account is let in, but callbacks are signed with `auth_token` all the same."""
    server = TwilioServer(account_sid, auth_token, outcome, callback_ms)
    front = server.front = Front(
        "twilio", unknown=_unknown, reset=server.reset, log=log, delay_ms=delay_ms,
        tokens_per_second=tokens_per_second, faults=faults,
    )  # fmt: skip
    base = "/2010-04-01/Accounts/{account}"
    front.add("POST", f"{base}/Messages.json", server.create)
    front.add("GET", f"{base}/Messages/{{sid}}.json", server.fetch)
    front.add("GET", f"{base}.json", server.account)
    front.control("POST", "/outcome", server.set_outcome)
    front.control("GET", "/sent", lambda _: list(server.messages.values()))
    front.app.router.add_post("/_control/inbound", server.inbound)
    front.app.on_cleanup.append(server.close)
    return front.finish()


class TwilioServer:
    """One account's messages."""

    front: Front

    def __init__(self, account_sid: str, auth_token: str, outcome: str, callback_ms: float) -> None:
        self._account, self._token = account_sid, auth_token
        self._outcome = self._first_outcome = outcome
        self._callback_s = callback_ms / 1000
        self.messages: dict[str, dict[str, Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        self.messages.clear()
        self._outcome = self._first_outcome

    def set_outcome(self, values: dict[str, Any]) -> None:
        """{"outcome": one of `WAYS`}; ValueError for another."""
        if values.get("outcome") not in WAYS:
            raise ValueError(f"outcome must be one of {', '.join(WAYS)}")
        self._outcome = values["outcome"]

    def account(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        return json_answer(
            {"sid": call.params["account"], "friendly_name": "emulated", "status": "active", "type": "Full"}
        )

    def create(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        given = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        to, body = given.get("To", ""), given.get("Body", "")
        if not _E164.fullmatch(to):
            return _error(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if not (given.get("From") or given.get("MessagingServiceSid")):
            return _error(400, 21603, "A 'From' phone number is required.")
        if not body:
            return _error(400, 21602, "Message body is required.")
        if len(body) > _MOST_CHARS:
            return _error(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
        message: dict[str, Any] = {
            "sid": "SM" + secrets.token_hex(16),
            "account_sid": call.params["account"],
            "to": to,
            "from": given.get("From"),
            "messaging_service_sid": given.get("MessagingServiceSid"),
            "body": body,
            "status": "queued",
            "error_code": None,
            "error_message": None,
            "num_segments": str(segments(body)),
            "num_media": "0",
            "price": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "direction": "outbound-api",
            "date_created": formatdate(usegmt=False),
            "date_updated": formatdate(usegmt=False),
            "date_sent": None,
            "uri": f"/2010-04-01/Accounts/{call.params['account']}/Messages/",
            "subresource_uris": {},
        }
        self.messages[message["sid"]] = message
        task = asyncio.get_running_loop().create_task(self._on_its_way(message, given.get("StatusCallback", "")))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        facts = {"to": to, "text": body, "sid": message["sid"], "callback": given.get("StatusCallback", "")}
        return json_answer(dict(message), 201, facts=facts, delay_s=self.front.pace.delay_ms / 1000)

    def fetch(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        message = self.messages.get(call.params["sid"])
        return json_answer(message) if message else _error(404, 20404, "The requested resource was not found")

    async def _on_its_way(self, message: dict[str, Any], callback: str) -> None:
        for status, code in WAYS[self._outcome]:
            await asyncio.sleep(self._callback_s)
            message |= {"status": status, "error_code": code, "price": "-0.0079" if status == "delivered" else None}
            if callback:
                fields = {
                    "MessageSid": message["sid"], "SmsSid": message["sid"], "MessageStatus": status,
                    "SmsStatus": status, "To": message["to"], "From": message["from"] or "",
                    "AccountSid": message["account_sid"], "ApiVersion": "2010-04-01",
                }  # fmt: skip
                await self._tell(callback, fields | ({"ErrorCode": str(code)} if code else {}))

    async def inbound(self, request: web.Request) -> web.Response:
        """{"url", "from", "to", "text"}: somebody sends an SMS to the account's number."""
        data = await request.json()
        sid = str(data.get("sid") or "SM" + secrets.token_hex(16))
        fields = {
            "MessageSid": sid, "SmsSid": sid, "AccountSid": self._account or "AC" + "0" * 32, "NumSegments": "1",
            "From": str(data["from"]), "To": str(data.get("to", "+15550001111")), "Body": str(data["text"]),
            "ApiVersion": "2010-04-01",
        }  # fmt: skip
        return web.json_response(await self._tell(str(data["url"]), fields))

    async def _tell(self, url: str, fields: dict[str, str]) -> dict[str, Any]:
        headers = {"X-Twilio-Signature": sign(self._token, url, fields)}
        told: dict[str, Any] = {"status": 0, "body": ""}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http,
                http.post(url, data=fields, headers=headers) as response,
            ):
                told = {"status": response.status, "body": await response.text()}
        self.front.log.noted(
            "callback", {"url": url, "status": told["status"], "what": fields.get("MessageStatus", "inbound")}
        )
        return told

    async def close(self, _: web.Application) -> None:
        for task in list(self._tasks):
            task.cancel()

    def _not_let_in(self, call: Call) -> Answer | None:
        scheme, _, given = call.headers.get("Authorization", "").partition(" ")
        try:
            sid, _, token = base64.b64decode(given).decode().partition(":")
        except ValueError:
            sid, token = "", ""
        known = not self._account or (sid == self._account and token == self._token)
        if scheme == "Basic" and sid and known and sid == call.params["account"]:
            return None
        return _error(401, 20003, "Authenticate")


def segments(text: str) -> int:
    """Parts of an SMS: GSM-7 160/153, else UCS-2 70/67. Near enough: only ASCII counts as GSM-7 here."""
    one, more = (160, 153) if text.isascii() else (70, 67)
    return 1 if len(text) <= one else -(-len(text) // more)


def _error(status: int, code: int, message: str) -> Answer:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return refused({"code": code, "message": message, "more_info": more, "status": status}, status)


def _unknown(call: Call) -> Answer:
    return _error(404, 20404, f"The requested resource {call.path} was not found")
