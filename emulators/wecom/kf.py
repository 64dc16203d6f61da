"""WeChat customer service over HTTP: its API as an endpoint each, and the control API to play customers and agents."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from emulators.answers import Answer, Call, json_answer, refused
from emulators.faults import AnyRule
from emulators.front import Front
from emulators.wecom.kf_state import Kf, Refused

TOKEN_LIFETIME_S = 7200


class Tokens:
    """Access tokens of the enterprise."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(32)

    def expire(self) -> None:
        """Control: the token given out is good no more."""
        self.token = secrets.token_hex(32)


class Service:
    """What the endpoints do."""

    def __init__(self) -> None:
        self.moved_s = 0.0
        self.tokens = Tokens()
        self.reset()

    def reset(self) -> None:
        self.kf = Kf(clock=lambda: time.time() + self.moved_s)

    def gettoken(self, call: Call) -> Answer:
        if not call.query.get("corpid") or not call.query.get("corpsecret"):
            return _refused(40001, "invalid credential", {})
        return json_answer(
            {"errcode": 0, "errmsg": "ok", "access_token": self.tokens.token, "expires_in": TOKEN_LIFETIME_S}
        )

    def sync(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        kf = str(body.get("open_kfid") or "")
        limit = body.get("limit", 1000)
        if not isinstance(limit, int) or not 0 < limit <= 1000:
            raise Refused(40058, "invalid limit")
        page = self.kf.sync(kf, str(body.get("cursor") or ""), str(body.get("token") or ""), limit)
        return page, {"open_kfid": kf, "items": len(page["msg_list"]), "belled": bool(body.get("token"))}

    def send(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        kf, user = str(body.get("open_kfid") or ""), str(body.get("touser") or "")
        msgtype = str(body.get("msgtype") or "")
        msgid = self.kf.send(kf, user, str(body.get("msgid") or ""), msgtype, body.get(msgtype))
        return {"msgid": msgid}, {}

    def send_on_event(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        msgtype = str(body.get("msgtype") or "")
        code, msgid = str(body.get("code") or ""), str(body.get("msgid") or "")
        msgid, (kf, user) = self.kf.send_on_event(code, msgid, msgtype, body.get(msgtype))
        return {"msgid": msgid}, {"open_kfid": kf, "user": user}

    def state(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        session = self.kf.state(*_customer(body))
        found: dict[str, Any] = {"service_state": int(session.state)}
        return (found | {"servicer_userid": session.servicer} if session.servicer else found), {}

    def change(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        wanted = body.get("service_state")
        if not isinstance(wanted, int) or isinstance(wanted, bool):
            raise Refused(40058, "invalid service_state")
        code = self.kf.change(*_customer(body), wanted, str(body.get("servicer_userid") or ""))
        return ({"msg_code": code} if code else {}), {"service_state": wanted}

    def accounts(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"account_list": [{"open_kfid": kf, "name": kf, "avatar": ""} for kf in self.kf.feeds]}, {}

    def media(self, call: Call) -> Answer:
        """media/get: any id that begins with "media" has a few bytes."""
        if call.query.get("access_token") != self.tokens.token:
            return _refused(40014, "invalid access_token", {})
        media_id = call.query.get("media_id", "")
        if not media_id.startswith("media"):
            return _refused(40007, "invalid media_id", {})
        disposition = {"Content-Disposition": f'attachment; filename="{media_id}.jpg"'}
        return Answer(200, b"\xff\xd8\xff" + media_id.encode(), "image/jpeg", disposition)

    # control

    def say(self, values: dict[str, Any]) -> dict[str, Any]:
        """{"open_kfid", "external_userid", "msgtype"?, "content", "ago_s"?}; `content` of a text may be its words."""
        msgtype = str(values.get("msgtype", "text"))
        content = values.get("content", "")
        if msgtype == "text" and isinstance(content, str):
            content = {"content": content}
        msgid = self.kf.say(*_customer(values), msgtype, content, ago_s=float(values.get("ago_s", 0)))
        return {"msgid": msgid}

    def enter(self, values: dict[str, Any]) -> dict[str, Any]:
        msgid, code = self.kf.enter(*_customer(values), ago_s=float(values.get("ago_s", 0)))
        return {"msgid": msgid, "welcome_code": code}

    def agent(self, values: dict[str, Any]) -> dict[str, Any]:
        """{"open_kfid", "external_userid", "action": take|transfer|end|retake|say, "text"?}"""
        servicer = str(values.get("servicer_userid", "agent1"))
        if values["action"] == "say":
            return {"msgid": self.kf.agent_says(*_customer(values), str(values.get("text", "")), servicer)}
        return {"msgid": self.kf.act(*_customer(values), str(values["action"]), servicer)}

    def happen(self, values: dict[str, Any]) -> dict[str, Any]:
        """{"open_kfid", "external_userid", "event": {...}}"""
        return {"msgid": self.kf.happen(*_customer(values), values["event"])}

    def bell(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"token": self.kf.bell(str(values["open_kfid"]))}

    def set(self, values: dict[str, Any]) -> None:
        """{"page_size"?, "empty_pages"?, "unbelled_calls"?, "servicers"?: {userid: on duty}, "fail"?: {user: type}}"""
        self.kf.page_size = int(values.get("page_size", self.kf.page_size))
        self.kf.empty_pages = bool(values.get("empty_pages", self.kf.empty_pages))
        self.kf.unbelled_calls = int(values.get("unbelled_calls", self.kf.unbelled_calls))
        self.kf.servicers |= values.get("servicers", {})
        self.kf.failing |= values.get("fail", {})

    def shown(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        """What customers saw; of one of them only with {"external_userid"}."""
        user = values.get("external_userid")
        return [one for one in self.kf.shown if user in (None, one["external_userid"])]

    def session(self, values: dict[str, Any]) -> dict[str, Any]:
        session = self.kf.state(*_customer(values))
        return {"state": int(session.state), "servicer": session.servicer, "sent": session.sent}

    def move_clock(self, values: dict[str, Any]) -> None:
        """{"by_s"}: from now on it is so much later."""
        self.moved_s += float(values["by_s"])


def serve(front: Front, service: Service) -> None:
    """The endpoints of customer service, without the token's."""

    def endpoint(path: str, act: Any) -> None:
        def perform(call: Call) -> Answer:
            body = call.json or {}
            facts = {
                "open_kfid": body.get("open_kfid"),
                "user": body.get("touser") or body.get("external_userid"),
                "msgid": body.get("msgid"),
                "text": (body.get("text") or {}).get("content") if isinstance(body.get("text"), dict) else None,
            }
            facts = {name: value for name, value in facts.items() if value is not None}
            if call.query.get("access_token") != service.tokens.token:
                return _refused(40014, "invalid access_token", facts)
            if call.json is None:
                return _refused(47001, "data format error", facts)
            try:
                answer, more = act(call, body)
            except Refused as exc:
                return _refused(exc.errcode, exc.errmsg, facts)
            return json_answer({"errcode": 0, "errmsg": "ok", **answer}, facts={**facts, **more, "errcode": 0})

        front.add("POST", f"/cgi-bin/kf/{path}", perform)

    endpoint("sync_msg", service.sync)
    endpoint("send_msg", service.send)
    endpoint("send_msg_on_event", service.send_on_event)
    endpoint("service_state/get", service.state)
    endpoint("service_state/trans", service.change)
    endpoint("account/list", service.accounts)
    for name, act in (
        ("say", service.say), ("enter", service.enter), ("agent", service.agent), ("event", service.happen),
        ("bell", service.bell), ("set", service.set), ("shown", service.shown), ("session", service.session),
        ("clock", service.move_clock),
    ):  # fmt: skip
        front.control("POST", f"/kf/{name}", _checked(act))


def create_app(
    *,
    log: Path | None = None,
    delay_ms: float = 0,
    tokens_per_second: float = 0,
    faults: Sequence[AnyRule] = (),
) -> web.Application:
    """Customer service alone, with tokens for everybody."""
    service = Service()
    front = Front(
        "wecomcs", unknown=_unknown, reset=service.reset, log=log, delay_ms=delay_ms,
        tokens_per_second=tokens_per_second, faults=faults,
    )  # fmt: skip
    front.add("GET", "/cgi-bin/gettoken", service.gettoken)
    front.add("GET", "/cgi-bin/media/get", service.media)
    front.control("POST", "/tokens/expire", lambda _: service.tokens.expire())
    serve(front, service)
    return front.finish()


def _customer(values: dict[str, Any]) -> tuple[str, str]:
    kf, user = values.get("open_kfid"), values.get("external_userid")
    if not isinstance(kf, str) or not isinstance(user, str) or not kf or not user:
        raise Refused(40058, "missing open_kfid or external_userid")
    return kf, user


def _checked(act: Any) -> Any:
    def control(values: dict[str, Any]) -> object:
        try:
            return act(values)
        except (Refused, KeyError) as exc:
            raise ValueError(str(exc)) from exc

    return control


def _refused(errcode: int, errmsg: str, facts: dict[str, Any]) -> Answer:
    body = {"errcode": errcode, "errmsg": f"{errmsg}, hint: [1700000000_0]"}
    return refused(body, 200, facts={**facts, "errcode": errcode})


def _unknown(call: Call) -> Answer:
    return _refused(40066, "invalid url", {})
