"""WeChat customer service over HTTP: its API as an endpoint each, and the control API to play customers and agents."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import web

from emulators.answers import Answer, Call
from emulators.front import Front
from emulators.wecom.api import PREFIX, Api
from emulators.wecom.callbacks import App
from emulators.wecom.kf_bell import KfCustomers
from emulators.wecom.kf_state import Kf, Refused


class Service:
    """What the endpoints do."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.reset()

    def reset(self) -> None:
        self.kf = Kf(clock=self._api.now)

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

    def customers(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Everybody has been here; the nickname follows from the id."""
        wanted = body.get("external_userid_list")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= 100:
            raise Refused(40058, "invalid external_userid_list")
        found = [{"external_userid": one, "nickname": f"Customer {one}"} for one in wanted]
        return {"customer_list": found, "invalid_external_userid": []}, {"asked": wanted}

    def shown(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        """What customers saw; of one of them only with {"external_userid"}."""
        user = values.get("external_userid")
        return [one for one in self.kf.shown if user in (None, one["external_userid"])]

    def session(self, values: dict[str, Any]) -> dict[str, Any]:
        session = self.kf.state(*_customer(values))
        return {"state": int(session.state), "servicer": session.servicer, "sent": session.sent}


def serve(front: Front, api: Api) -> None:
    service = Service(api)
    api.resets.append(service.reset)

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
            if refusal := api.refusal(call):
                refusal.facts |= facts
                return refusal
            if call.json is None:
                return api.error(47001, facts)
            try:
                answer, more = act(call, body)
            except Refused as exc:
                return api.error(exc.errcode, facts)
            return api.ok({**facts, **more}, **answer)

        front.add("POST", f"{PREFIX}kf/{path}", perform)

    endpoint("sync_msg", service.sync)
    endpoint("send_msg", service.send)
    endpoint("send_msg_on_event", service.send_on_event)
    endpoint("service_state/get", service.state)
    endpoint("service_state/trans", service.change)
    endpoint("account/list", service.accounts)
    endpoint("customer/batchget", service.customers)

    async def send(request: web.Request) -> web.Response:
        """As `say`, and the bell is rung at {"url"} for the app {"token", "encoding_aes_key", "corpid"}."""
        try:
            values = orjson.loads(await request.read())
            app = App(*(str(values[name]) for name in ("token", "encoding_aes_key", "corpid")))
            people = KfCustomers(str(values["url"]), "", app)
            said = service.say(values)
            # in a thread: the webhook may call us before it answers
            token = service.kf.bell(values["open_kfid"])
            status = await asyncio.to_thread(people.ring_with, values["open_kfid"], token)
            people.close()
        except (Refused, KeyError, TypeError, ValueError, AssertionError) as exc:
            return web.json_response({"error": f"{type(exc).__name__}: {exc}"}, status=400)
        return web.json_response({**said, "status": status})

    front.app.router.add_post("/_control/kf/send", send)
    for name, act in (
        ("say", service.say), ("enter", service.enter), ("agent", service.agent), ("event", service.happen),
        ("bell", service.bell), ("set", service.set), ("shown", service.shown), ("session", service.session),
    ):  # fmt: skip
        front.control("POST", f"/kf/{name}", _checked(act))


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
