"""DingTalk: which way an answer goes out, and what the vendor's errors mean."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from emulators.dingtalk.callbacks import Callback, build
from emulators.running import Emulator, running
from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DeadlineExceeded, FarSideError, Rejected, SignatureInvalid, Throttled, Unavailable
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Part
from mindbot_tasks.platforms.base import Inbound
from mindbot_tasks.platforms.dingtalk import DingTalk, client
from tests.platforms.far_side import FarSide, Say
from tests.platforms.test_dingtalk import NOW_MS, SECRET, call, robot, to_outgoing

TOKEN = Say(200, {"accessToken": "t1", "expireIn": 7200})
NEWER_TOKEN = Say(200, {"accessToken": "t2", "expireIn": 7200})
STALE = Say(400, {"code": "InvalidAuthentication", "message": "不合法的access_token", "requestid": "r"})
SENT = Say(200, {"processQueryKey": "key-1", "invalidStaffIdList": [], "flowControlledStaffIdList": []})


def a_message(bot: DingTalk, url: str, **changes: Any) -> Message:
    return bot.parse(call(**{"sessionWebhook": f"{url}/robot/sendBySession?session=s1", **changes}))[0]


def no_session(server: FarSide, **changes: Any) -> tuple[DingTalk, Message]:
    """A robot, and a message whose session webhook cannot be used any more."""
    bot = robot(server.url)
    return bot, a_message(bot, server.url, sessionWebhookExpiredTime=NOW_MS + 1000, **changes)


def send(bot: DingTalk, message: Message, part: Part | None = None, number: int = 0) -> str:
    return bot.send(to_outgoing(message, part, number), Deadline(60))


def test_markdown_goes_to_the_session_webhook(server: FarSide) -> None:
    bot = robot(server.url)
    assert send(bot, a_message(bot, server.url)) == ""
    (asked,) = server.asked
    assert asked.path == "/robot/sendBySession?session=s1"
    assert asked.headers["content-type"] == "application/json"
    assert asked.json == {"msgtype": "markdown", "markdown": {"title": "hi", "text": "**hi**"}}


def test_text_goes_out_as_text(server: FarSide) -> None:
    bot = robot(server.url, markdown_card=False)
    (part,) = bot.render(Answer("**hi**", provider="test"))
    send(bot, a_message(bot, server.url), part)
    assert server.asked[0].json == {"msgtype": "text", "text": {"content": "**hi**"}}


@pytest.mark.parametrize(
    ("part", "text"),
    [(Part("markdown", "# hi", {"title": "hi"}), "@user01\n\n# hi"), (Part("text", "hi"), "@user01 hi")],
)
def test_the_first_piece_in_a_group_names_the_asker(server: FarSide, part: Part, text: str) -> None:
    bot = robot(server.url)
    message = a_message(bot, server.url, conversationType="2")
    send(bot, message, part, number=0)
    send(bot, message, part, number=1)
    first, second = (asked.json for asked in server.asked)
    assert first["at"] == {"atUserIds": ["user01"], "isAtAll": False}
    assert text in (first.get("text", {}).get("content"), first.get("markdown", {}).get("text"))
    assert "at" not in second
    assert "user01" not in json.dumps(second)


def test_people_without_a_user_id_are_not_named(server: FarSide) -> None:
    bot = robot(server.url)
    send(bot, a_message(bot, server.url, conversationType="2", senderStaffId=None))
    assert "at" not in server.asked[0].json


@pytest.mark.parametrize("errcode", ["0", 0])
def test_errcode_may_be_a_string(server: FarSide, errcode: object) -> None:
    server.otherwise = Say(200, {"errcode": errcode, "errmsg": "ok"})
    bot = robot(server.url)
    assert send(bot, a_message(bot, server.url)) == ""


@pytest.mark.parametrize("errcode", ["300001", 300001])
def test_a_dead_session_is_followed_by_the_api(server: FarSide, errcode: object) -> None:
    server.script.extend([Say(200, {"errcode": errcode, "errmsg": "session 不存在"}), TOKEN, SENT])
    bot = robot(server.url)
    assert send(bot, a_message(bot, server.url)) == "key-1"
    _, token, sent = server.asked
    assert token.path == "/v1.0/oauth2/accessToken"
    assert token.json == {"appKey": "dingapp0001", "appSecret": SECRET}
    assert sent.path == "/v1.0/robot/oToMessages/batchSend"
    assert sent.headers["x-acs-dingtalk-access-token"] == "t1"
    assert sent.json == {
        "robotCode": "dingapp0001",
        "userIds": ["user01"],
        "msgKey": "sampleMarkdown",
        "msgParam": '{"title":"hi","text":"**hi**"}',
    }


def test_a_session_that_asks_for_a_login_is_dead_too(server: FarSide) -> None:
    server.script.extend([Say(401, {}), TOKEN, SENT])
    bot = robot(server.url)
    assert send(bot, a_message(bot, server.url)) == "key-1"


def test_a_call_without_time_left_is_not_made(server: FarSide) -> None:
    bot = robot(server.url)
    with pytest.raises(DeadlineExceeded) as raised:
        bot.send(to_outgoing(a_message(bot, server.url)), Deadline(0))
    assert raised.value.kind != "ambiguous"
    assert server.asked == []


def test_a_host_that_does_not_pick_up_was_certainly_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_S", 0.6)
    with socket.socket() as deaf, contextlib.ExitStack() as waiting:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # fills the queue of connections, so that ours hangs
            caller = waiting.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        bot = robot(url)
        with pytest.raises(Unavailable) as raised:
            bot.send(to_outgoing(a_message(bot, url)), Deadline(60))
        assert raised.value.kind == "connection"


def test_a_session_that_is_about_to_expire_is_not_tried(server: FarSide) -> None:
    server.script.extend([TOKEN, SENT])
    bot, message = no_session(server, conversationType="2")
    assert send(bot, message, Part("text", "hi")) == "key-1"
    assert server.asked[-1].path == "/v1.0/robot/groupMessages/send"
    assert server.asked[-1].json == {
        "robotCode": "dingapp0001",
        "openConversationId": "cidAAAA==",
        "msgKey": "sampleText",
        "msgParam": '{"content":"hi"}',
    }


def test_a_webhook_that_is_not_trusted_is_never_called(server: FarSide) -> None:
    bot = robot(server.url)
    message = a_message(bot, "http://localhost:1")
    server.script.extend([TOKEN, SENT])
    assert send(bot, message) == "key-1"
    stored = to_outgoing(message)
    stored.address["session_webhook"] = "http://localhost:1/robot"  # type: ignore[index]
    server.script.append(SENT)
    assert bot.send(stored, Deadline(60)) == "key-1"


def test_a_stranger_without_a_session_cannot_be_reached(server: FarSide) -> None:
    bot, message = no_session(server, senderStaffId=None)
    with pytest.raises(Rejected) as raised:
        send(bot, message)
    assert raised.value.kind == "expired"
    assert server.asked == []


@pytest.mark.parametrize(
    "stale",
    [
        STALE,
        Say(401, {}),
        Say(200, {"errcode": 40014, "errmsg": "x"}),
        Say(200, {"errcode": 42001}),
        Say(200, {"errcode": 88}),
    ],
)
def test_a_stale_token_is_replaced_once(server: FarSide, stale: Say) -> None:
    server.script.extend([TOKEN, stale, NEWER_TOKEN, SENT])
    bot, message = no_session(server)
    assert send(bot, message) == "key-1"
    tokens = [asked.headers.get("x-acs-dingtalk-access-token") for asked in server.asked]
    assert tokens == [None, "t1", None, "t2"]


def test_a_token_that_stays_stale_ends_it(server: FarSide) -> None:
    server.script.extend([TOKEN, STALE, NEWER_TOKEN, STALE])
    bot, message = no_session(server)
    with pytest.raises(Rejected) as raised:
        send(bot, message)
    assert (raised.value.kind, len(server.asked)) == ("auth", 4)


def test_wrong_credentials_are_a_clear_no(server: FarSide) -> None:
    server.script.append(Say(400, {"code": "invalidClientIdOrSecret", "message": "x"}))
    bot, message = no_session(server)
    with pytest.raises(Rejected, match="client_id and client_secret") as raised:
        send(bot, message)
    assert raised.value.kind == "auth"
    assert SECRET not in str(raised.value)


def test_a_token_that_does_not_come_leaves_nothing_ambiguous(server: FarSide) -> None:
    server.script.append(Say(cut=True))
    bot, message = no_session(server)
    with pytest.raises(Unavailable) as raised:
        send(bot, message)
    assert raised.value.kind == "connection"


@pytest.mark.parametrize(
    ("say", "error", "kind", "wait_s"),
    [
        (Say(403, {"code": "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"}), Throttled, "rate_limit", 1.0),
        (Say(403, {"code": "Forbidden.AccessDenied.QpsLimitForApi"}), Throttled, "rate_limit", 1.0),
        (Say(200, {"errcode": 90018}), Throttled, "rate_limit", 1.0),
        (Say(403, {"code": "Forbidden.AccessDenied.ApiCountLimitForOrg"}), Rejected, "quota", None),
        (Say(200, {"errcode": 90020}), Rejected, "quota", None),
        (Say(400, {"code": "invalidParameter.robotCode.auth"}), Rejected, "auth", None),
        (Say(400, {"code": "never.heard.of"}), Rejected, "invalid_request", None),
        (Say(200, {"errcode": 987654}), Rejected, "invalid_request", None),
        (Say(200, {"errcode": -1}), Unavailable, "server", None),
        (Say(500, {"code": "system.busy"}), Unavailable, "server", None),
        (Say(503, {"code": "never.heard.of"}), Unavailable, "server", None),
        (Say(502, b"<html>Bad Gateway", content_type="text/html"), Unavailable, "ambiguous", None),
        (Say(504, b"", content_type="text/html"), Unavailable, "ambiguous", None),
        (Say(200, b"<html>", content_type="text/html"), Unavailable, "ambiguous", None),
        (Say(200, [1]), Unavailable, "ambiguous", None),
        (
            Say(200, b'<html>{"status":1111,"wait":5,"source":"x5","punish":"deny"}', content_type="text/html"),
            Throttled,
            "rate_limit",
            300.0,
        ),
        (Say(200, {**SENT.body, "invalidStaffIdList": ["user01"]}), Rejected, "not_found", None),
        (Say(200, {**SENT.body, "filteredStaffIdList": ["user01"]}), Rejected, "not_found", None),
        (Say(200, {**SENT.body, "flowControlledStaffIdList": ["user01"]}), Throttled, "rate_limit", 1.0),
    ],
)
def test_errors_are_understood(
    server: FarSide, say: Say, error: type[FarSideError], kind: str, wait_s: float | None
) -> None:
    server.script.extend([TOKEN, say])
    bot, message = no_session(server)
    with pytest.raises(error) as raised:
        send(bot, message)
    assert (type(raised.value), raised.value.kind, raised.value.retry_after_s) == (error, kind, wait_s)
    assert len(server.asked) == 2


def test_a_missing_permission_is_named(server: FarSide) -> None:
    denied = {
        "code": "Forbidden.AccessDenied.AccessTokenPermissionDenied",
        "accessdenieddetail": {"requiredScopes": ["qyapi_robot_sendmsg"]},
    }
    server.script.extend([TOKEN, Say(403, denied)])
    bot, message = no_session(server)
    with capture_logs() as logs, pytest.raises(Rejected, match="qyapi_robot_sendmsg"):
        send(bot, message)
    assert [line["scopes"] for line in logs if "scopes" in line] == [["qyapi_robot_sendmsg"]]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running("dingtalk") as started:
        yield started


def signed_call(emulator: Emulator, **values: Any) -> Inbound:
    post = build(Callback(**values), secret=SECRET, emulator_url=emulator.url)
    return Inbound("POST", {name.lower(): value for name, value in post.headers.items()}, {}, post.body, now_ms())


def live_robot(emulator: Emulator) -> DingTalk:
    bot = robot(emulator.url)
    bot._clock_ms = now_ms  # the emulator's sessions live in today
    return bot


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("lifetime_s", [5400, 30])
def test_with_the_emulator_there_and_back(emulator: Emulator, group: bool, lifetime_s: float) -> None:
    """A long answer, by session webhook and, when that has expired, by the API."""
    emulator.control.reset()
    bot = live_robot(emulator)
    inbound = signed_call(emulator, group=group, session_lifetime_s=lifetime_s)
    bot.verify(inbound)
    (message,) = bot.parse(inbound)
    parts = bot.render(Answer("# Answer\n\n" + '他说："你好"。\\n ' * 2000, provider="test"))
    assert len(parts) > 1
    for number, part in enumerate(parts):
        bot.send(to_outgoing(message, part, number), Deadline(60))
    path = "/robot/sendBySession" if lifetime_s > 60 else None
    sent = [record for record in emulator.control.calls() if "/robot/" in record["path"]]
    assert len(sent) == len(parts)
    assert {record["status"] for record in sent} == {200}
    assert all((record["path"] == path) is (path is not None) for record in sent)


def test_with_the_emulator_a_forged_call_is_refused(emulator: Emulator) -> None:
    for kind in ("bad_signature", "unsigned", "stale"):
        with pytest.raises(SignatureInvalid):
            live_robot(emulator).verify(signed_call(emulator, kind=kind))
