"""DingTalk: the contract, and what its callbacks mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from mindbot_tasks.core.errors import PayloadInvalid, SignatureInvalid
from mindbot_tasks.core.http import Http
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.platforms.base import Inbound
from mindbot_tasks.platforms.dingtalk import DingTalk, signature
from mindbot_tasks.platforms.dingtalk.addresses import trusted_webhook
from mindbot_tasks.platforms.dingtalk.client import Client
from tests.platforms.contract import PlatformContract
from tests.platforms.far_side import FarSide, unused_port

SECRET = "mindbot-demo-secret"
NOW_MS = 1_700_000_000_000
CALLBACK: dict[str, Any] = {
    "conversationId": "cidAAAA==",
    "conversationType": "1",
    "msgId": "msg0001==",
    "msgtype": "text",
    "text": {"content": " hello "},
    "createAt": NOW_MS,
    "senderId": "$:LWCP_v1:$abc==",
    "senderNick": "Zhang San",
    "senderCorpId": "ding0001",
    "senderStaffId": "user01",
    "isAdmin": False,
    "chatbotUserId": "$:LWCP_v1:$bot==",
    "robotCode": "dingapp0001",
    "sessionWebhook": "https://oapi.dingtalk.com/robot/sendBySession?session=s1",
    "sessionWebhookExpiredTime": NOW_MS + 5_400_000,
}


class PlainTokens:
    """A token store of one process."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}

    def get(self, name: str, fetch: Callable[[], tuple[str, float]]) -> str:
        if name not in self.held:
            self.held[name], _ = fetch()
        return self.held[name]

    def drop(self, name: str, used_token: str) -> None:
        if self.held.get(name) == used_token:
            del self.held[name]


def robot(url: str = "https://oapi.dingtalk.com", **values: Any) -> DingTalk:
    settings = DingTalkSettings(
        client_id="dingapp0001", client_secret=SecretStr(SECRET), api_base=url, oapi_base=url, **values
    )
    return DingTalk("default", settings, Client(settings, Http(), PlainTokens()), clock_ms=lambda: NOW_MS)


def call(payload: object = None, *, now_ms: int = NOW_MS, **changes: Any) -> Inbound:
    """A signed call with the usual payload, some of it changed; None removes a field."""
    body = payload if payload is not None else {k: v for k, v in {**CALLBACK, **changes}.items() if v is not None}
    return Inbound(
        method="POST",
        headers={"timestamp": str(now_ms), "sign": signature.sign(str(now_ms), SECRET)},
        query={},
        body=json.dumps(body).encode(),
        received_at_ms=NOW_MS,
    )


def parsed(**changes: Any) -> Message:
    (message,) = robot(robot_name="小助手").parse(call(**changes))
    return message


class TestContract(PlatformContract):
    max_chars = 5000
    idempotent = False
    more_fields = ("content", "isInAtList", "richText", "repliedMsg", "recognition", "duration", "conversationTitle")

    @pytest.fixture
    def platform(self, server: FarSide) -> DingTalk:
        return robot(server.url)

    @pytest.fixture
    def unreachable(self, outgoing: Outgoing) -> DingTalk:
        return robot(str(outgoing.address["session_webhook"]).rpartition("/robot")[0])

    @pytest.fixture
    def signed_call(self) -> Inbound:
        return call()

    @pytest.fixture
    def stale_call(self) -> Inbound:
        return call(now_ms=NOW_MS - 3_600_001)

    @pytest.fixture
    def outgoing(self, request: pytest.FixtureRequest) -> Outgoing:
        dead = "unreachable" in request.fixturenames
        url = f"http://127.0.0.1:{unused_port()}" if dead else request.getfixturevalue("server").url
        message = robot(url).parse(call(sessionWebhook=f"{url}/robot/sendBySession?session=s1"))[0]
        return to_outgoing(message)


def to_outgoing(message: Message, part: Part | None = None, number: int = 0) -> Outgoing:
    return Outgoing(
        message_id=1,
        platform=message.platform,
        bot=message.bot,
        conversation_id=message.conversation_id,
        conversation_kind=message.conversation_kind,
        sender_id=message.sender_id,
        address=message.address,
        part=part or Part("markdown", "**hi**", {"title": "hi"}),
        number=number,
        total=1,
        key=f"mindbot-1-{number}",
    )


@pytest.mark.parametrize(
    ("timestamp", "secret", "sign"),
    [
        ("1577262236757", "this is a secret", "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA="),
        ("1700000000000", "mindbot-demo-secret", "d/SysxDsd2AarSYtSl/OUxgeczncYFerMY1RX0vWG7w="),
    ],
)
def test_signs_like_dingtalk(timestamp: str, secret: str, sign: str) -> None:
    assert signature.sign(timestamp, secret) == sign
    headers = {"timestamp": timestamp, "sign": sign}
    signature.verify(headers, secret, now_ms=int(timestamp) + 1000, tolerance_s=60)


@pytest.mark.parametrize("off_ms", [-61_000, 61_000])
def test_the_window_is_a_setting_and_has_two_sides(off_ms: int) -> None:
    with pytest.raises(SignatureInvalid):
        robot(timestamp_tolerance_s=60).verify(call(now_ms=NOW_MS + off_ms))


def test_blanks_around_the_headers_do_no_harm() -> None:
    inbound = call()
    headers = {name: f" {value} " for name, value in inbound.headers.items()}
    robot().verify(Inbound("POST", headers, {}, inbound.body, NOW_MS))


def test_a_one_to_one_text() -> None:
    message = parsed()
    assert message == Message(
        platform="dingtalk",
        bot="default",
        external_id="msg0001==",
        conversation_id="cidAAAA==",
        conversation_kind="one_to_one",
        sender_id="user01",
        sender_name="Zhang San",
        parts=(Part("text", "hello"),),
        address={
            "session_webhook": "https://oapi.dingtalk.com/robot/sendBySession?session=s1",
            "session_expires_at_ms": NOW_MS + 5_400_000,
            "robot_code": "dingapp0001",
            "staff_id": "user01",
            "conversation_id": "cidAAAA==",
            "conversation_type": "1",
            "nick": "Zhang San",
        },
        sent_at_ms=NOW_MS,
    )


def test_a_group_text() -> None:
    message = parsed(conversationType="2", conversationTitle="Team", isInAtList=True)
    assert (message.conversation_kind, message.conversation_title, message.addressed) == ("group", "Team", True)


@pytest.mark.parametrize(
    ("kind", "flag", "addressed"),
    [("2", False, False), ("2", "false", False), ("2", None, True), ("2", "odd", True), ("1", False, True)],
)
def test_a_group_message_that_does_not_name_the_robot_is_not_addressed(kind: str, flag: Any, addressed: bool) -> None:
    assert parsed(conversationType=kind, isInAtList=flag).addressed is addressed


@pytest.mark.parametrize("staff_id", [None, "", "  "])
def test_people_outside_the_organisation_are_known_by_their_opaque_id(staff_id: str | None) -> None:
    message = parsed(senderStaffId=staff_id)
    assert message.sender_id == "$:LWCP_v1:$abc=="
    assert message.address["staff_id"] == ""


AUDIO = {"downloadCode": "c", "recognition": " 你好 ", "duration": 4000}
RICH = [
    {"text": "@小助手"},
    {"text": "look "},
    {"text": "here"},
    {"type": "picture", "downloadCode": "c1", "pictureDownloadCode": "p1"},
    {"text": "\n"},
    {"text": "and there"},
    {"type": "picture", "pictureDownloadCode": "p2"},
    "not an object",
]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"msgtype": "picture", "content": {"downloadCode": "c"}}, [Part("image", data={"download_code": "c"})]),
        ({"msgtype": "picture", "content": {"pictureDownloadCode": "p"}}, [Part("image", data={"download_code": "p"})]),
        ({"msgtype": "picture", "content": '{"downloadCode":"c"}'}, [Part("image", data={"download_code": "c"})]),
        ({"msgtype": "picture", "content": "{broken"}, [Part("image", data={"download_code": ""})]),
        ({"msgtype": "audio", "content": AUDIO}, [Part("voice", "你好", {"download_code": "c", "duration_ms": 4000})]),
        ({"msgtype": "audio", "content": {"downloadCode": "c"}}, [Part("voice", "", {"download_code": "c"})]),
        (
            {"msgtype": "video", "content": {"downloadCode": "c", "duration": "12", "videoType": "mp4"}},
            [Part("video", "", {"download_code": "c", "duration": 12, "video_type": "mp4"})],
        ),
        (
            {"msgtype": "file", "content": {"downloadCode": "c", "fileName": "a.pdf", "fileId": 7, "spaceId": "s"}},
            [Part("file", "", {"download_code": "c", "name": "a.pdf", "file_id": "7", "space_id": "s"})],
        ),
        (
            {"msgtype": "richText", "content": {"richText": RICH}},
            [
                Part("text", "look here"),
                Part("image", data={"download_code": "c1"}),
                Part("text", "and there"),
                Part("image", data={"download_code": "p2"}),
            ],
        ),
        ({"msgtype": "richText", "content": {"richText": None}}, [Part("text")]),
        (
            {"msgtype": "unknownMsgType", "content": {"unknownMsgType": "hologram"}},
            [Part("unknown", data={"type": "hologram"})],
        ),
        ({"msgtype": "newfangled"}, [Part("unknown", data={"type": "newfangled"})]),
        ({"text": '{"content":" as a string"}'}, [Part("text", "as a string")]),
        ({"text": {"content": 42}}, [Part("text", "42")]),
        ({"text": {"content": "nul\x00 and half \ud83d"}}, [Part("text", "nul\ufffd and half \ufffd")]),
        (
            {
                "text": {
                    "content": "what is this?",
                    "isReplyMsg": True,
                    "repliedMsg": {"msgId": "m0", "msgType": "text", "senderId": "x", "content": {"text": "E = mc2"}},
                }
            },
            [
                Part("quote", "E = mc2", {"message_id": "m0", "sender_id": "x", "type": "text"}),
                Part("text", "what is this?"),
            ],
        ),
        (
            {
                "text": {
                    "content": "and this?",
                    "repliedMsg": {"msgType": "richText", "content": '{"richText":[{"text":"a"},{"text":"b"}]}'},
                }
            },
            [Part("quote", "ab", {"type": "richText"}), Part("text", "and this?")],
        ),
        (
            {
                "text": {
                    "content": "what is this?",
                    "isReplyMsg": True,
                    "repliedMsg": {"msgId": "m0", "msgType": "picture", "content": '{"downloadCode":"c1"}'},
                }
            },
            [
                Part("quote", "", {"message_id": "m0", "type": "picture"}),
                Part("image", "", {"download_code": "c1"}),
                Part("text", "what is this?"),
            ],
        ),
        (
            {
                "text": {
                    "content": "sum up",
                    "repliedMsg": {"msgType": "file", "content": {"downloadCode": "c1", "fileName": "a.pdf"}},
                }
            },
            [
                Part("quote", "a.pdf", {"type": "file"}),
                Part("file", "", {"download_code": "c1", "name": "a.pdf"}),
                Part("text", "sum up"),
            ],
        ),
        (
            {
                "text": {
                    "content": "and what did she say?",
                    "repliedMsg": {"msgType": "audio", "content": {"downloadCode": "c1", "recognition": "hello"}},
                }
            },
            [Part("quote", "hello", {"type": "audio"}), Part("text", "and what did she say?")],
        ),
        (
            {"text": {"content": "both?", "repliedMsg": {"msgType": "richText", "content": {"richText": RICH}}}},
            [
                Part("quote", "@小助手look here\nand there", {"type": "richText"}),
                Part("image", data={"download_code": "c1"}),
                Part("image", data={"download_code": "p2"}),
                Part("text", "both?"),
            ],
        ),
    ],
)
def test_every_kind_of_message_becomes_parts(changes: dict[str, Any], parts: list[Part]) -> None:
    assert list(parsed(**changes).parts) == parts


def test_a_text_without_text_is_logged_and_dropped() -> None:
    with capture_logs() as logs:
        assert robot().parse(call(text=None, errorMessage="quota exhausted", code="20001")) == []
    assert [(line["event"], line["code"]) for line in logs] == [("dingtalk_message_without_text", "20001")]


@pytest.mark.parametrize(
    "changes",
    [
        {"msgId": None},
        {"msgId": " "},
        {"msgId": {"a": 1}},
        {"msgId": "m" * 256},
        {"msgtype": None},
        {"senderId": None, "senderStaffId": None},
        {"conversationType": "2", "conversationId": None},
        {"conversationId": "c" * 256},
    ],
)
def test_a_call_without_what_identifies_it_is_unreadable(changes: dict[str, Any]) -> None:
    with pytest.raises(PayloadInvalid):
        robot().parse(call(**changes))


def test_numbers_and_strings_are_taken_for_each_other() -> None:
    message = parsed(
        msgId=12345, conversationType=2, createAt="1700000000001", sessionWebhookExpiredTime="1700000000002"
    )
    assert (message.external_id, message.conversation_kind, message.sent_at_ms) == ("12345", "group", 1700000000001)
    assert message.address["session_expires_at_ms"] == 1700000000002


@pytest.mark.parametrize("value", [1e400, -1, 2**63, float("1e30"), True, [], "soon"])
def test_times_that_no_database_holds_count_as_absent(value: Any) -> None:
    body = json.dumps({**CALLBACK, "createAt": value}).replace("Infinity", "1e400")
    inbound = Inbound("POST", {}, {}, body.encode(), NOW_MS)
    assert robot().parse(inbound)[0].sent_at_ms is None


@pytest.mark.parametrize(
    "url",
    [
        "http://oapi.dingtalk.com/robot/sendBySession?session=s",  # the scheme is part of the rule
        "https://oapi.dingtalk.com:8443/robot",
        "https://oapi.dingtalk.com.evil.example/robot",
        "https://evil.example/oapi.dingtalk.com",
        "https://oapi.dingtalk.com@evil.example/",
        "https://evil.example\\@oapi.dingtalk.com/",
        "https://oapi.dingtalk.com\\.evil.example/",
        "https://user@oapi.dingtalk.com/",
        "https://oapi.dingtalk.com./robot",
        "https://api.dingtalk.com/robot",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:9101/robot",
        "http://localhost:9102/robot",
        "http://[::1]:9102/robot",
        "file:///etc/passwd",
        "gopher://127.0.0.1:9102/",
        "//oapi.dingtalk.com/robot",
        "https://oapi.dingtalk.com:port/",
        "https://[oapi.dingtalk.com/",
        "https://oapi.dingtalk.com/\r\nHost: evil.example",
        " https://oapi.dingtalk.com/",
        "",
    ],
)
def test_session_webhooks_elsewhere_are_not_trusted(url: str) -> None:
    assert trusted_webhook(url, "http://127.0.0.1:9102") == ""


@pytest.mark.parametrize(
    ("url", "rebuilt"),
    [
        ("https://oapi.dingtalk.com/robot/x?session=s", "https://oapi.dingtalk.com/robot/x?session=s"),
        ("HTTPS://OAPI.DingTalk.com:443/robot/x?session=s#f", "https://oapi.dingtalk.com/robot/x?session=s"),
        ("http://127.0.0.1:9102/robot/x?session=s", "http://127.0.0.1:9102/robot/x?session=s"),
    ],
)
def test_session_webhooks_of_the_two_known_hosts_are_trusted(url: str, rebuilt: str) -> None:
    assert trusted_webhook(url, "http://127.0.0.1:9102/") == rebuilt


def test_a_session_webhook_elsewhere_is_ignored_and_logged_without_the_url() -> None:
    with capture_logs() as logs:
        message = parsed(sessionWebhook="http://169.254.169.254/latest")
    assert message.address["session_webhook"] == ""
    assert [line["event"] for line in logs] == ["dingtalk_session_webhook_refused"]
    assert "169.254" not in str(logs)


def test_the_acknowledgement_is_an_empty_object() -> None:
    assert robot().acknowledge(call(), [7]).body == b"{}"
