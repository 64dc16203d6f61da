"""Alibaba Cloud's SMS: SendSms and QuerySendDetails, with the signature checked as ACS3-HMAC-SHA256 says."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from aiohttp import web

from emulators.answers import Answer, Call, json_answer
from emulators.faults import AnyRule
from emulators.front import Front

_CHINA = timezone(timedelta(hours=8))
_STATES = {"delivered": 3, "undelivered": 2, "silent": 1}
_CODES = {"delivered": "DELIVERED", "undelivered": "MOBILE_NOT_ON_SERVICE", "silent": ""}


def create_app(
    *,
    log: Path | None = None,
    delay_ms: float = 0,
    tokens_per_second: float = 0,
    faults: Sequence[AnyRule] = (),
    access_key: str = "",
    secret_key: str = "",
    outcome: str = "delivered",
) -> web.Application:
    """`access_key` "": no signature is checked."""
    server = AlibabaServer(access_key, secret_key, outcome)
    front = server.front = Front(
        "alibaba_sms", unknown=server.act, reset=server.reset, log=log, delay_ms=delay_ms,
        tokens_per_second=tokens_per_second, faults=faults,
    )  # fmt: skip
    front.control("POST", "/outcome", server.set_outcome)
    front.control("GET", "/sent", lambda _: list(server.messages.values()))
    front.add("POST", "/", server.act)
    front.add("GET", "/", server.act)
    return front.finish()


class AlibabaServer:
    """One account's messages. Business errors are 200 with a `Code`, as the vendor does it."""

    front: Front

    def __init__(self, access_key: str, secret_key: str, outcome: str) -> None:
        self._key, self._secret = access_key, secret_key
        self._outcome = self._first_outcome = outcome
        self._code = "OK"
        self.messages: dict[str, dict[str, Any]] = {}

    def reset(self) -> None:
        self.messages.clear()
        self._outcome, self._code = self._first_outcome, "OK"

    def set_outcome(self, values: dict[str, Any]) -> None:
        """{"outcome": delivered, undelivered or silent} and/or {"code": a business error, "OK" for none}."""
        if (outcome := values.get("outcome", self._outcome)) not in _STATES:
            raise ValueError(f"outcome must be one of {', '.join(_STATES)}")
        self._outcome, self._code = outcome, str(values.get("code", self._code))

    def act(self, call: Call) -> Answer:
        query = dict(call.query)
        if self._key and (why := self._wrong_signature(call, query)):
            return _said(403, why, "the signature does not match")
        match call.headers.get("x-acs-action", ""):
            case "SendSms":
                return self._send(query)
            case "QuerySendDetails":
                return self._details(query)
            case "QuerySmsTemplate":
                return _said(200, "OK", "OK", TemplateStatus=1, TemplateCode=query.get("TemplateCode"))
            case action:
                return _said(404, "InvalidAction.NotFound", f"{action} is not found")

    def _send(self, query: dict[str, str]) -> Answer:
        for name in ("PhoneNumbers", "SignName", "TemplateCode"):
            if not query.get(name):
                return _said(400, f"Missing{name}", f"{name} is mandatory for this action.")
        if not query["PhoneNumbers"].isdigit():
            return _said(200, "isv.MOBILE_NUMBER_ILLEGAL", "the number is illegal")
        try:
            variables = orjson.loads(query.get("TemplateParam") or "{}")
        except orjson.JSONDecodeError:
            return _said(200, "isv.INVALID_JSON_PARAM", "TemplateParam is not JSON")
        if self._code != "OK":
            return _said(200, self._code, "refused as told")
        biz_id = f"{secrets.randbelow(10**18)}^0"
        self.messages[biz_id] = {
            "biz_id": biz_id, "to": query["PhoneNumbers"], "variables": variables, "out_id": query.get("OutId", ""),
            "template": query["TemplateCode"], "at": time.time(),
        }  # fmt: skip
        facts = {"to": query["PhoneNumbers"], "text": str(variables), "sid": biz_id}
        return _said(200, "OK", "OK", BizId=biz_id, facts=facts, delay_s=self.front.pace.delay_ms / 1000)

    def _details(self, query: dict[str, str]) -> Answer:
        found = [
            {
                "SendStatus": _STATES[self._outcome],
                "ErrCode": _CODES[self._outcome],
                "PhoneNum": each["to"],
                "OutId": each["out_id"],
                "TemplateCode": each["template"],
                "Content": "",
                "SendDate": f"{datetime.fromtimestamp(each['at'], _CHINA):%Y-%m-%d %H:%M:%S}",
            }
            for each in self.messages.values()
            if each["to"] == query.get("PhoneNumber")
            and query.get("BizId") in (None, "", each["biz_id"])
            and f"{datetime.fromtimestamp(each['at'], _CHINA):%Y%m%d}" == query.get("SendDate")
        ]
        return _said(200, "OK", "OK", TotalCount=len(found), SmsSendDetailDTOs={"SmsSendDetailDTO": found})

    def _wrong_signature(self, call: Call, query: dict[str, str]) -> str:
        scheme, _, rest = call.headers.get("Authorization", "").partition(" ")
        given = dict(part.partition("=")[::2] for part in rest.split(","))
        if scheme != "ACS3-HMAC-SHA256" or given.get("Credential") != self._key:
            return "InvalidAccessKeyId.NotFound"
        names = given.get("SignedHeaders", "").split(";")
        lines = "".join(f"{name}:{call.headers.get(name, '').strip()}\n" for name in names)
        # on the wire a space may be "+", signed it is always "%20"
        listed = "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query))
        body_hash = hashlib.sha256(call.body).hexdigest()
        if call.headers.get("x-acs-content-sha256") != body_hash:
            return "SignatureDoesNotMatch"
        request = "\n".join([call.method, "/", listed, lines, ";".join(names), body_hash])
        to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
        wanted = hmac.new(self._secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        return "" if hmac.compare_digest(wanted, given.get("Signature", "")) else "SignatureDoesNotMatch"


def _said(
    status: int, code: str, message: str, *, facts: dict[str, Any] | None = None, delay_s: float = 0, **more: Any
) -> Answer:
    body = {"Code": code, "Message": message, "RequestId": secrets.token_hex(16).upper(), **more}
    return json_answer(body, status, accepted=code == "OK", facts={"code": code, **(facts or {})}, delay_s=delay_s)
