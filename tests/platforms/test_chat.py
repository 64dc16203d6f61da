"""The generic platform: the contract, what its calls mean, and the signed callback."""

from __future__ import annotations

import dataclasses
import json
import socket
from typing import Any

import pytest
from pydantic import SecretStr

from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import PayloadInvalid, Rejected, SettingsError, SignatureInvalid
from mindbot_tasks.core.http import ANYWHERE, PUBLIC, Http
from mindbot_tasks.core.settings import ChatSettings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.platforms import standard_webhooks
from mindbot_tasks.platforms.base import Inbound
from mindbot_tasks.platforms.chat import Chat
from tests.platforms.contract import PlatformContract
from tests.platforms.far_side import FarSide, Say, unused_port

SECRET = "whsec_bWluZGJvdC13ZWJob29rLXNlY3JldC0wMTIzNDU2Nzg5"
NEXT_SECRET = standard_webhooks.secret_of(bytes(range(32)))
NOW_S = 1_700_000_000
DATA: dict[str, Any] = {"text": " hi ", "conversation_id": "c1", "user_id": "u1", "user_name": "Ann"}


def system(callback_url: str = "", *, public_only: bool = False, secrets: tuple[str, ...] = (SECRET,)) -> Chat:
    settings = ChatSettings(secrets=[SecretStr(secret) for secret in secrets], callback_url=callback_url)
    return Chat("default", settings, Http(PUBLIC if public_only else ANYWHERE))


def call(data: dict[str, Any] | None = None, *, at_s: int = NOW_S, **event: Any) -> Inbound:
    body = json.dumps({"type": "message.created", "data": DATA if data is None else data, **event}).encode()
    return Inbound("POST", standard_webhooks.sign([SECRET], "msg_1", body, now_s=at_s), {}, body, NOW_S * 1000)


def parsed(data: dict[str, Any] | None = None, **event: Any) -> Message:
    (message,) = system().parse(call(data, **event))
    return message


OUTGOING = Outgoing(
    message_id=7,
    platform="chat",
    bot="default",
    conversation_id="c1",
    conversation_kind="one_to_one",
    sender_id="u1",
    address={"in_reply_to": "msg_1"},
    part=Part("markdown", "**hi** 你好"),
    number=0,
    total=1,
    key="mindbot-7-0",
)


class TestContract(PlatformContract):
    max_chars = 100_000
    idempotent = True
    more_fields = ("timestamp", "parts", "conversation_title", "conversation_kind", "addressed", "id", "user_name")

    @pytest.fixture
    def platform(self, server: FarSide) -> Chat:
        return system(server.url + "/answers")

    @pytest.fixture
    def unreachable(self) -> Chat:
        return system(f"http://127.0.0.1:{unused_port()}/answers")

    @pytest.fixture
    def signed_call(self) -> Inbound:
        return call()

    @pytest.fixture
    def stale_call(self) -> Inbound:
        return call(at_s=NOW_S - 301)

    @pytest.fixture
    def outgoing(self) -> Outgoing:
        return OUTGOING

    def test_refuses_a_body_with_one_letter_changed(self, platform: Chat, signed_call: Inbound) -> None:
        with pytest.raises(SignatureInvalid):
            platform.verify(dataclasses.replace(signed_call, body=signed_call.body.replace(b"hi", b"ho")))


def test_a_message() -> None:
    assert parsed(timestamp="2023-11-14T22:13:20.5Z") == Message(
        platform="chat",
        bot="default",
        external_id="msg_1",
        conversation_id="c1",
        conversation_kind="one_to_one",
        sender_id="u1",
        sender_name="Ann",
        parts=(Part("text", "hi"),),
        address={"in_reply_to": "msg_1"},
        sent_at_ms=1_700_000_000_500,
    )


def test_the_least_that_can_be_said() -> None:
    message = parsed({"text": "hi"})
    assert (message.sender_id, message.conversation_id) == ("anonymous", "anonymous")


def test_a_system_that_names_only_the_person_has_one_conversation_with_each() -> None:
    assert parsed({"text": "hi", "user_id": 5}).conversation_id == "5"


@pytest.mark.parametrize("timestamp", ["", "yesterday", "2023-11-14T22:13:20", 1700000000, "9999-99-99T00:00:00Z"])
def test_a_time_that_cannot_be_read_is_left_out(timestamp: object) -> None:
    assert parsed(timestamp=timestamp).sent_at_ms is None


def test_files_come_as_parts() -> None:
    parts = [
        {"kind": "image", "url": "https://example.com/a.png", "text": "a chart"},
        {"kind": "hologram"},
        "nonsense",
    ]
    assert parsed({"text": "see", "parts": parts}).parts == (
        Part("text", "see"),
        Part("image", "a chart", {"url": "https://example.com/a.png"}),
        Part("unknown"),
        Part("unknown"),
    )


def test_a_place_and_a_link_say_where_they_are() -> None:
    place = {"kind": "location", "name": "West Lake", "latitude": 30.25, "longitude": "120.15", "address": "Hangzhou"}
    link = {"kind": "link", "url": "https://example.com/a", "title": "A page", "latitude": "nowhere"}
    message = parsed({"user_id": "u1", "parts": [place, link]})
    assert [part.data for part in message.parts] == [
        {"name": "West Lake", "address": "Hangzhou", "latitude": 30.25, "longitude": 120.15},
        {"url": "https://example.com/a", "title": "A page"},
    ]
    assert message.text == "West Lake\nHangzhou (30.25, 120.15)\nA page\nhttps://example.com/a"


def test_a_file_may_come_along_or_leave_its_kind_to_its_type() -> None:
    parts = [
        {"mime": "image/png", "content": "aGk=", "name": "a.png"},
        {"url": "https://example.com/x"},
    ]
    assert parsed({"parts": parts}).parts == (
        Part("image", "", {"name": "a.png", "mime": "image/png", "content": "aGk="}),
        Part("file", "", {"url": "https://example.com/x"}),
    )


def batch(*messages: object) -> list[Message]:
    return system().parse(call({"messages": list(messages)}, type="message.batch"))


def test_a_batch_holds_messages_in_their_order() -> None:
    messages = batch({"id": "a", "text": "one", "user_id": "u1"}, {"text": "two", "timestamp": "2023-11-14T22:13:20Z"})
    assert [(message.external_id, message.text) for message in messages] == [("a", "one"), ("msg_1#1", "two")]
    assert [message.sent_at_ms for message in messages] == [None, NOW_S * 1000]
    assert json.loads(system().acknowledge(call(), [5, 6]).body) == {"id": 5, "ids": [5, 6], "status": "accepted"}


@pytest.mark.parametrize("messages", [[], [{"text": "hi"}] * 101, [{"text": "hi"}, {}], ["nonsense"]])
def test_a_batch_is_taken_as_a_whole_or_not_at_all(messages: list[Any]) -> None:
    with pytest.raises(PayloadInvalid):
        batch(*messages)


def fetched(part: Part, chat: Chat | None = None) -> bytes:
    with (chat or system()).open_media(part, {}, Deadline(60)) as media:
        return b"".join(media.chunks)


def with_attachments(*, public_only: bool) -> Chat:
    return Chat("default", ChatSettings(), Http(), Http(PUBLIC if public_only else ANYWHERE))


def test_an_attachment_that_came_along_is_decoded() -> None:
    assert fetched(Part("file", data={"content": "aGk="})) == b"hi"
    for broken in ({"content": "hi!"}, {"content": "你好"}, {}):
        with pytest.raises(Rejected):
            fetched(Part("file", data=broken))


def test_an_attachment_is_fetched_from_its_url(server: FarSide) -> None:
    server.otherwise = Say(
        body=b"picture", content_type="image/png", headers={"Content-Disposition": 'x; filename="p.png"'}
    )
    part = Part("image", data={"url": f"{server.url}/dir/a%20b.png"})
    with with_attachments(public_only=False).open_media(part, {}, Deadline(60)) as media:
        assert (b"".join(media.chunks), media.name, media.media_type) == (b"picture", "p.png", "image/png")
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize("url", ["{url}/a.png", "https://127.0.0.1/a", "file:///etc/passwd", "http://example.com/a"])
def test_an_attachment_never_leads_inside(server: FarSide, url: str) -> None:
    with pytest.raises(Rejected) as raised:
        fetched(Part("image", data={"url": url.format(url=server.url)}), with_attachments(public_only=True))
    assert raised.value.code == "destination"
    assert server.asked == []


def test_an_attachment_that_is_gone_or_sent_in_circles_is_refused(server: FarSide) -> None:
    part = Part("image", data={"url": f"{server.url}/a.png"})
    for say, kind in ((Say(404), "not_found"), (Say(302, headers={"Location": "/again"}), "protocol")):
        server.otherwise = say
        with pytest.raises(Rejected) as raised:
            fetched(part, with_attachments(public_only=False))
        assert raised.value.kind == kind
    server.script.append(Say(302, headers={"Location": "/again"}))
    server.otherwise = Say(body=b"here")
    assert fetched(part, with_attachments(public_only=False)) == b"here"


def test_a_group_message_can_say_that_it_is_for_somebody_else() -> None:
    message = parsed({**DATA, "conversation_kind": "group", "conversation_title": "Team", "addressed": False})
    assert (message.conversation_kind, message.conversation_title, message.addressed) == ("group", "Team", False)
    assert parsed({**DATA, "user_is_bot": True}).from_bot
    assert not message.from_bot


def test_events_of_other_types_hold_no_message() -> None:
    assert system().parse(call(type="ping")) == []


@pytest.mark.parametrize("data", [{}, {"text": "  "}, {"text": ["x"]}, {"text": "hi", "conversation_id": "c" * 256}])
def test_a_message_without_words_or_with_an_endless_id_is_unreadable(data: dict[str, Any]) -> None:
    with pytest.raises(PayloadInvalid):
        system().parse(call(data))


def test_the_acknowledgement_tells_our_id() -> None:
    acknowledgement = system().acknowledge(call(), [42])
    assert acknowledgement.content_type == "application/json"
    assert json.loads(acknowledgement.body) == {"id": 42, "ids": [42], "status": "accepted"}
    assert json.loads(system().acknowledge(call(), []).body) == {"id": None, "ids": [], "status": "ignored"}


def test_without_a_callback_url_the_answer_waits_to_be_fetched() -> None:
    fetched = system()
    assert fetched.capabilities.pull
    assert fetched.capabilities.live
    assert fetched.send(OUTGOING, Deadline(60)) == ""


def test_the_callback_is_signed_with_every_secret_and_keeps_its_id(server: FarSide) -> None:
    sender = system(server.url + "/answers", secrets=(SECRET, NEXT_SECRET))
    assert not sender.capabilities.pull
    sender.send(OUTGOING, Deadline(60))
    sender.send(dataclasses.replace(OUTGOING, resend=True), Deadline(60))
    for asked in server.asked:
        assert asked.headers["webhook-id"] == "mindbot-7-0"
        for secret in (SECRET, NEXT_SECRET):
            standard_webhooks.verify([secret], asked.headers, asked.body, now_s=now_ms() / 1000)
    assert server.asked[0].json["type"] == "answer.created"
    assert server.asked[0].json["data"] == {
        "message_id": 7,
        "in_reply_to": "msg_1",
        "conversation_id": "c1",
        "user_id": "u1",
        "kind": "markdown",
        "text": "**hi** 你好",
        "details": {},
        "number": 0,
        "total": 1,
    }


def test_a_key_that_cannot_be_a_webhook_id_is_hashed(server: FarSide) -> None:
    sender = system(server.url)
    sender.send(dataclasses.replace(OUTGOING, key="a.b ü"), Deadline(60))
    asked = server.asked[0]
    assert len(asked.headers["webhook-id"]) == 64
    standard_webhooks.verify([SECRET], asked.headers, asked.body, now_s=now_ms() / 1000)


def test_a_callback_url_that_is_gone_is_final(server: FarSide) -> None:
    server.otherwise = Say(410, {})
    with pytest.raises(Rejected) as raised:
        system(server.url).send(OUTGOING, Deadline(60))
    assert raised.value.kind == "expired"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "2130706433"])
def test_a_callback_to_a_private_address_is_refused(
    server: FarSide, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = server.url.rpartition(":")[2]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_a, **_k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port)))]
    )
    with pytest.raises(Rejected):
        system(f"https://{host}:{port}/answers", public_only=True).send(OUTGOING, Deadline(60))
    assert server.asked == []


def test_pictures_of_the_answer_follow_the_words() -> None:
    picture = Part("image", "a chart", {"url": "https://example.com/a.png"})
    parts = system().render(Answer("see", provider="test", parts=(picture,)))
    assert parts == [Part("markdown", "see"), picture]


def test_a_secret_that_cannot_be_used_stops_the_start() -> None:
    with pytest.raises(SettingsError):
        system(secrets=("not-a-secret",))


def test_without_secrets_every_call_is_refused() -> None:
    with pytest.raises(SignatureInvalid):
        system(secrets=()).verify(call())
