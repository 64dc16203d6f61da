"""What a robot can send: replies by session webhook, and messages by the server API.

DingTalk docs, 2026-11-20; codes that only users of the platform report are marked.
"""

from __future__ import annotations

import itertools
from typing import Any

import orjson

from emulators.answers import Answer, Call, json_answer, refused
from emulators.dingtalk.sessions import Sessions
from emulators.dingtalk.tokens import Tokens, api_error
from emulators.front import Front, Pace

MAX_PARAM_BYTES = 15_000
MAX_REPLY_BYTES = 20_000  # commonly quoted for robots; not documented for session replies
MAX_USERS = 20

#: msgtype of a session reply -> the keys that its object needs
_REPLIES: dict[str, frozenset[str]] = {
    "text": frozenset({"content"}),
    "markdown": frozenset({"title", "text"}),
    "link": frozenset({"title", "text", "messageUrl"}),
    "actionCard": frozenset({"title", "text"}),
    "feedCard": frozenset({"links"}),
}

#: msgKey -> the keys that msgParam needs
_PARAMS: dict[str, frozenset[str]] = {
    "sampleText": frozenset({"content"}),
    "sampleMarkdown": frozenset({"title", "text"}),
    "sampleImageMsg": frozenset({"photoURL"}),
    "sampleLink": frozenset({"text", "title", "picUrl", "messageUrl"}),
    "sampleActionCard": frozenset({"title", "text", "singleTitle", "singleURL"}),
    **{
        f"sampleActionCard{buttons}": frozenset(
            {"title", "text"} | {f"action{part}{n}" for part in ("Title", "URL") for n in range(1, buttons + 1)}
        )
        for buttons in range(2, 6)
    },
    "sampleActionCard6": frozenset({"title", "text", "buttonTitle1", "buttonUrl1", "buttonTitle2", "buttonUrl2"}),
    "sampleAudio": frozenset({"mediaId", "duration"}),
    "sampleFile": frozenset({"mediaId", "fileName", "fileType"}),
    "sampleVideo": frozenset({"videoMediaId", "videoType", "duration", "picMediaId"}),
}


class Robot:
    pace: Pace

    def __init__(self, tokens: Tokens, sessions: Sessions) -> None:
        self.tokens = tokens
        self.sessions = sessions
        self._numbers = itertools.count(1)
        self._invalid: frozenset[str] = frozenset()
        self._slowed: frozenset[str] = frozenset()

    def reset(self) -> None:
        self._invalid = self._slowed = frozenset()

    def set_people(self, values: dict[str, Any]) -> None:
        """Control: {"invalid": [...], "flow_controlled": [...]}, users whom a batch does not reach."""
        self._invalid = frozenset(map(str, values.get("invalid", ())))
        self._slowed = frozenset(map(str, values.get("flow_controlled", ())))

    def reply(self, call: Call) -> Answer:
        """/robot/sendBySession; the HTTP status is 200 whatever happens."""
        text = call.query.get("session", "")
        facts: dict[str, Any] = {"session": text}
        session = self.sessions.find(text)
        if session is not None:
            facts |= {"conversation": session.conversation, "for_msg_id": session.msg_id}
        if call.json is not None:
            facts |= _seen(call.json, str(call.json.get("msgtype")))
        if session is None or not self.sessions.good(text, session):
            return _legacy(300001, "session 不存在", facts)  # reported by users, not documented
        if not call.headers.get("Content-Type", "").startswith("application/json") or call.json is None:
            return _legacy(43004, "无效的HTTP HEADER Content-Type", facts)
        kind = call.json.get("msgtype")
        needed = _REPLIES.get(kind) if isinstance(kind, str) else None
        if needed is None:
            return _legacy(400105, "不支持的消息类型", facts)
        message = call.json.get(str(kind))
        if not isinstance(message, dict) or any(not message.get(key) for key in needed):
            return _legacy(40035, "缺少参数 json", facts)
        if len(call.body) > MAX_REPLY_BYTES:
            return _legacy(460101, "message too long, exceed 20000 bytes", facts)
        return json_answer({"errcode": 0, "errmsg": "ok"}, facts={**facts, "errcode": 0}, delay_s=self._delay_s)

    def send_to_people(self, call: Call) -> Answer:
        """/v1.0/robot/oToMessages/batchSend"""
        body = call.json or {}
        facts, refusal = self._read_send(call, body)
        users = body.get("userIds")
        facts["users"] = users
        if refusal is not None:
            return refusal
        if not isinstance(users, list) or not users or not all(isinstance(user, str) and user for user in users):
            return api_error(400, "invalidParameter.userIds.empty", "userIds is required", facts)
        if len(users) > MAX_USERS:
            return api_error(400, "invalidParameter.userIds.overMax", "userIds is over max", facts)
        invalid = [user for user in users if user in self._invalid]
        slowed = [user for user in users if user in self._slowed]
        facts["reached"] = [user for user in users if user not in self._invalid | self._slowed]
        key = self._query_key()
        answer = {"processQueryKey": key, "invalidStaffIdList": invalid, "flowControlledStaffIdList": slowed}
        return json_answer(
            answer,
            facts={**facts, "process_query_key": key},
            delay_s=self._delay_s,
            # nobody saw anything of a batch that reached nobody
            accepted=bool(facts["reached"]),
        )

    def send_to_group(self, call: Call) -> Answer:
        """/v1.0/robot/groupMessages/send"""
        body = call.json or {}
        facts, refusal = self._read_send(call, body)
        conversation = body.get("openConversationId")
        facts["conversation"] = conversation
        if refusal is not None:
            return refusal
        if not isinstance(conversation, str) or not conversation.startswith("cid"):
            return api_error(400, "invalid.openConversationId", "openConversationId is invalid", facts)
        key = self._query_key()
        return json_answer({"processQueryKey": key}, facts={**facts, "process_query_key": key}, delay_s=self._delay_s)

    def _read_send(self, call: Call, body: dict[str, Any]) -> tuple[dict[str, Any], Answer | None]:
        """What both sends share: the facts for the log, and the refusal if something is wrong."""
        key, param = body.get("msgKey"), body.get("msgParam")
        values = _object(param)
        facts: dict[str, Any] = {"msg_key": key, "robot_code": body.get("robotCode"), **_text_of(values or {})}
        if refusal := self.tokens.refusal(call):
            refusal.facts |= facts
            return facts, refusal
        if call.json is None:
            return facts, api_error(400, "Missingbody", "body is mandatory for this action", facts)
        if not isinstance(body.get("robotCode"), str) or not body["robotCode"]:
            return facts, api_error(400, "invalidParameter.robotCode.auth", "robotCode is not authorised", facts)
        needed = _PARAMS.get(key) if isinstance(key, str) else None
        if needed is None:
            return facts, api_error(400, "invalidParameter.msgKey.invalid", "msgKey is invalid", facts)
        too_long = isinstance(param, str) and len(param.encode()) > MAX_PARAM_BYTES
        if (
            values is None
            or too_long
            or any(not isinstance(values.get(name), str) or not values[name] for name in needed)
        ):
            return facts, api_error(400, "invalidParameter.msgParam.invalid", "msgParam is invalid", facts)
        return facts, None

    @property
    def _delay_s(self) -> float:
        return self.pace.delay_ms / 1000

    def _query_key(self) -> str:
        return f"query-key-{next(self._numbers)}"


def serve(front: Front, robot: Robot) -> None:
    robot.pace = front.pace
    front.add("POST", "/robot/sendBySession", robot.reply)
    front.add("POST", "/v1.0/robot/oToMessages/batchSend", robot.send_to_people)
    front.add("POST", "/v1.0/robot/groupMessages/send", robot.send_to_group)
    front.control("POST", "/sessions", robot.sessions.register)
    front.control("POST", "/sessions/expire", robot.sessions.end)
    front.control("POST", "/people", robot.set_people)


def _seen(body: dict[str, Any], kind: str) -> dict[str, Any]:
    """What a reader would see of a session reply, for the log."""
    message, at = body.get(kind), body.get("at")
    seen: dict[str, Any] = {"msgtype": kind, **_text_of(message if isinstance(message, dict) else {})}
    if isinstance(at, dict):
        seen["at_user_ids"] = at.get("atUserIds", [])
    return seen


def _text_of(message: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {"text": message.get("content", message.get("text", ""))}
    if "title" in message:
        seen["title"] = message["title"]
    return seen


def _object(text: object) -> dict[str, Any] | None:
    """The object in a JSON text; None: it is no text, no JSON or no object."""
    if not isinstance(text, str):
        return None
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def _legacy(errcode: int, errmsg: str, facts: dict[str, Any]) -> Answer:
    return refused({"errcode": errcode, "errmsg": errmsg}, 200, facts={**facts, "errcode": errcode})
