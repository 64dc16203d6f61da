"""Interactive cards: created and delivered once, streamed into, finished or failed.

DingTalk docs, 2026-11-20. What the platform says to a call after the last one is not documented: here it is a 400 with
a code of this emulator's own, unless the call is a repeat of one that was taken (same guid), which has no effect again.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any, Literal

from emulators.answers import Answer, Call, json_answer
from emulators.calls import fingerprint
from emulators.dingtalk.tokens import Tokens, api_error
from emulators.front import Front, Pace

MAX_TRACK_ID_CHARS = 64
MAX_CONTENT_BYTES = 60_000  # no source names the number; there is one
_GROUP, _PERSON = "dtv1.card//IM_GROUP.", "dtv1.card//IM_ROBOT."
ENDED = "param.stream.ended"  # our own word


@dataclass(slots=True)
class Card:
    """What people see of one card."""

    conversation: str  #: of a group; "" in a chat with one person
    user: str  #: the person, "" in a group
    values: dict[str, str]
    state: Literal["created", "processing", "inputing", "finished", "failed"] = "processing"
    guids: set[str] = field(default_factory=set)


class Cards:
    pace: Pace

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.reset()

    def reset(self) -> None:
        self.known: dict[str, Card] = {}
        self.routes: dict[str, tuple[str, str]] = {}  #: route key -> URL and secret
        self._per_s = 0.0
        self._started: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def set_qps(self, values: dict[str, Any]) -> None:
        """Control: {"per_s": 20}, for each app and API; 0: no limit."""
        self._per_s = float(values.get("per_s", 0))

    def show(self, values: dict[str, Any]) -> dict[str, Any]:
        """Control: all cards as people see them now."""
        return {
            name: {"state": card.state, "values": card.values, "conversation": card.conversation, "user": card.user}
            for name, card in self.known.items()
        }

    # the calls

    def create_and_deliver(self, call: Call) -> Answer:
        """POST /v1.0/card/instances/createAndDeliver"""
        body, facts, refusal = self._begin(call)
        refusal = refusal or self._refuse_card(body, facts) or _refuse_delivery(body, facts)
        if refusal is not None:
            return refusal
        card = self._keep(body)
        _address(card, body)
        facts |= _seen(card)
        result = {"outTrackId": facts["card"], "deliverResults": [_delivered(body)]}
        return json_answer({"success": True, "result": result}, facts=facts, delay_s=self._delay_s)

    def create(self, call: Call) -> Answer:
        """POST /v1.0/card/instances"""
        body, facts, refusal = self._begin(call)
        refusal = refusal or self._refuse_card(body, facts)
        if refusal is not None:
            return refusal
        self._keep(body).state = "created"
        return json_answer({"success": True, "result": facts["card"]}, facts=facts, delay_s=self._delay_s)

    def deliver(self, call: Call) -> Answer:
        """POST /v1.0/card/instances/deliver"""
        body, facts, refusal = self._begin(call)
        card = self.known.get(facts["card"])
        if refusal is None and card is None:
            refusal = api_error(400, "param.cardNotExist", "card does not exist", facts)
        refusal = refusal or _refuse_delivery(body, facts)
        if refusal is not None or card is None:
            return refusal or api_error(400, "param.invalid", "invalid", facts)
        _address(card, body)
        card.state = "processing"
        result = {"success": True, "result": [_delivered(body)]}
        return json_answer(result, facts={**facts, **_seen(card)}, delay_s=self._delay_s)

    def update(self, call: Call) -> Answer:
        """PUT /v1.0/card/instances"""
        body, facts, refusal = self._begin(call)
        card = self.known.get(facts["card"])
        if refusal is None and card is None:
            refusal = api_error(400, "param.cardNotExist", "card does not exist", facts)
        values = _strings(body.get("cardData"))
        if refusal is None and values is None:
            refusal = api_error(400, "param.cardPublicDataEmpty", "cardParamMap must map texts to texts", facts)
        if refusal is not None or card is None or values is None:
            return refusal or api_error(400, "param.invalid", "invalid", facts)
        options = body.get("cardUpdateOptions")
        by_key = isinstance(options, dict) and options.get("updateCardDataByKey") is True
        card.values = {**card.values, **values} if by_key else values
        return json_answer({"success": True}, facts={**facts, **_seen(card), "values": values}, delay_s=self._delay_s)

    def stream(self, call: Call) -> Answer:
        """PUT /v1.0/card/streaming"""
        body, facts, refusal = self._begin(call)
        guid, key, content = (_text(body.get(name)) for name in ("guid", "key", "content"))
        facts |= {
            "guid": guid,
            "text": content,
            "full": body.get("isFull"),
            "finalize": body.get("isFinalize") is True,
            "error": body.get("isError") is True,
            "repeat": False,
        }
        if refusal is not None:
            refusal.facts |= facts
            return refusal
        for name, value in (("guidEmpty", guid), ("keyEmpty", key), ("contentEmpty", content)):
            if not value:
                return api_error(400, f"param.stream.{name}", name, facts)
        card = self.known.get(facts["card"])
        if card is None:
            return api_error(400, "param.stream.outTrackId", "card does not exist", facts)
        facts |= _seen(card)
        if len(content.encode()) > MAX_CONTENT_BYTES:
            return api_error(400, "param.stream.content", "content is too large", facts)
        if guid in card.guids:
            facts["repeat"] = True
            return json_answer({"success": True, "result": True}, facts=facts, delay_s=self._delay_s, accepted=False)
        if card.state in ("finished", "failed"):
            return api_error(400, ENDED, "the card has ended", facts)
        if card.state == "created":
            return api_error(500, "system.busy", "the card was never delivered", facts)
        card.guids.add(guid)
        card.values[key] = content if body.get("isFull") else card.values.get(key, "") + content
        card.state = "failed" if facts["error"] else "finished" if facts["finalize"] else "inputing"
        facts |= _seen(card)
        return json_answer({"success": True, "result": True}, facts=facts, delay_s=self._delay_s)

    def register(self, call: Call) -> Answer:
        """POST /v1.0/card/callbacks/register"""
        body, facts, refusal = self._begin(call)
        key, url, secret = body.get("callbackRouteKey"), body.get("callbackUrl"), body.get("apiSecret")
        facts |= {"route_key": key, "callback_url": url, "secret": fingerprint(str(secret))}
        if refusal is not None:
            return refusal
        if not all(isinstance(value, str) and value for value in (key, url, secret)):
            return api_error(400, "param.empty", "callbackRouteKey, callbackUrl and apiSecret are required", facts)
        if key in self.routes and body.get("forceUpdate") is not True:
            return api_error(400, "param.callbackRouteKeyExist", "the key is taken", facts)
        self.routes[str(key)] = (str(url), str(secret))
        result = {"success": True, "result": {"callbackUrl": url, "apiSecret": secret}}
        return json_answer(result, facts=facts, delay_s=self._delay_s)

    # what they share

    @property
    def _delay_s(self) -> float:
        return self.pace.delay_ms / 1000

    def _begin(self, call: Call) -> tuple[dict[str, Any], dict[str, Any], Answer | None]:
        """The body, the facts for the log, and the refusal if the caller may not call now."""
        body = call.json or {}
        facts: dict[str, Any] = {"card": str(body.get("outTrackId") or "")}
        refusal = self.tokens.refusal(call)
        if refusal is None and self._too_fast(call):
            code = "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"
            refusal = api_error(403, code, "too many calls a second", facts)
        if refusal is None and call.json is None:
            refusal = api_error(400, "Missingbody", "body is mandatory for this action", facts)
        if refusal is not None:
            refusal.facts |= facts
        return body, facts, refusal

    def _too_fast(self, call: Call) -> bool:
        if not self._per_s:
            return False
        now = time.monotonic()
        started = self._started[(call.headers.get("x-acs-dingtalk-access-token", ""), f"{call.method} {call.path}")]
        while started and started[0] <= now - 1:
            started.popleft()
        if len(started) >= self._per_s:
            return True
        started.append(now)
        return False

    def _refuse_card(self, body: dict[str, Any], facts: dict[str, Any]) -> Answer | None:
        if not facts["card"]:
            return api_error(400, "param.outTrackIdEmpty", "outTrackId is required", facts)
        if len(facts["card"]) > MAX_TRACK_ID_CHARS:
            return api_error(400, "param.invalid", "outTrackId is longer than 64 characters", facts)
        template = body.get("cardTemplateId")
        facts["template"] = template
        if not isinstance(template, str) or not template:
            return api_error(400, "param.cardTemplateIdEmpty", "cardTemplateId is required", facts)
        if not template.endswith(".schema"):
            return api_error(400, "param.templateNotExist", "there is no such template", facts)
        if _strings(body.get("cardData")) is None:
            return api_error(400, "param.cardPublicDataEmpty", "cardParamMap must map texts to texts", facts)
        if body.get("callbackType") not in ("STREAM", "HTTP"):
            return api_error(500, "system.busy", "callbackType was left out", facts)  # reported by users
        if facts["card"] in self.known:
            return api_error(400, "param.cardAlreadyExist", "card already exists", facts)
        return None

    def _keep(self, body: dict[str, Any]) -> Card:
        card = self.known[str(body["outTrackId"])] = Card("", "", _strings(body["cardData"]) or {})
        return card


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(card_data: object) -> dict[str, str] | None:
    """cardParamMap, if it is what it must be: texts only."""
    values = card_data.get("cardParamMap") if isinstance(card_data, dict) else None
    if not isinstance(values, dict) or not values or not all(isinstance(value, str) for value in values.values()):
        return None
    return dict(values)


def _refuse_delivery(body: dict[str, Any], facts: dict[str, Any]) -> Answer | None:
    space = body.get("openSpaceId")
    facts["space"] = space
    if not isinstance(space, str) or not space:
        return api_error(400, "param.openSpaceIdEmpty", "openSpaceId is required", facts)
    if space.startswith(_GROUP + "cid"):
        kind = "imGroup"
    elif space.startswith(_PERSON) and len(space) > len(_PERSON):
        kind = "imRobot"
    else:
        return api_error(400, "param.openSpaceIdInvalid", "openSpaceId is invalid", facts)
    for model, code in (("OpenSpaceModel", "openSpaceModelInvalid"), ("OpenDeliverModel", "openDeliverModelEmpty")):
        if not isinstance(body.get(kind + model), dict):
            return api_error(400, f"param.{code}", f"{kind}{model} is required", facts)
    deliver = body[kind + "OpenDeliverModel"]
    if kind == "imGroup" and not deliver.get("robotCode"):
        return api_error(400, "param.openDeliverModelError", "robotCode is required", facts)
    if kind == "imRobot" and deliver.get("spaceType") != "IM_ROBOT":
        return api_error(400, "param.openDeliverModelError", "spaceType must be IM_ROBOT", facts)
    return None


def _address(card: Card, body: dict[str, Any]) -> None:
    space = str(body["openSpaceId"])
    card.conversation = space.removeprefix(_GROUP) if space.startswith(_GROUP) else ""
    card.user = space.removeprefix(_PERSON) if space.startswith(_PERSON) else ""


def _delivered(body: dict[str, Any]) -> dict[str, Any]:
    space = str(body["openSpaceId"])
    kind = "IM_GROUP" if space.startswith(_GROUP) else "IM_ROBOT"
    return {"spaceType": kind, "spaceId": space, "success": True, "carrierId": f"carrier-{space}", "errorMsg": ""}


def _seen(card: Card) -> dict[str, Any]:
    seen: dict[str, Any] = {"state": card.state}
    if card.conversation:
        seen["conversation"] = card.conversation
    if card.user:
        seen["reached"] = [card.user]
    return seen


def serve(front: Front, cards: Cards) -> None:
    cards.pace = front.pace
    front.add("POST", "/v1.0/card/instances/createAndDeliver", cards.create_and_deliver)
    front.add("POST", "/v1.0/card/instances", cards.create)
    front.add("POST", "/v1.0/card/instances/deliver", cards.deliver)
    front.add("PUT", "/v1.0/card/instances", cards.update)
    front.add("PUT", "/v1.0/card/streaming", cards.stream)
    front.add("POST", "/v1.0/card/callbacks/register", cards.register)
    front.control("GET", "/cards", cards.show)
    front.control("POST", "/qps", cards.set_qps)
