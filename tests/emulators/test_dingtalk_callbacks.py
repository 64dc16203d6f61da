"""The sender of robot callbacks: right signatures, wrong ones on purpose, and a log of what was meant."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from emulators.calls import read
from emulators.dingtalk import DingTalkSender
from emulators.dingtalk.callbacks import KINDS, Callback, build, sign
from emulators.running import Emulator

SECRET = "a secret of this test"


class Door:
    """A webhook that takes everything and keeps it; answers with the statuses it is given, then with 200."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                door.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(door.statuses.pop(0) if door.statuses else 200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/dingtalk"


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    thread = threading.Thread(target=door.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield door
    door.server.shutdown()
    thread.join()
    door.server.server_close()


@pytest.fixture
def sender(door: Door, dingtalk: Emulator) -> Iterator[DingTalkSender]:
    with DingTalkSender(door.url, SECRET, emulator_url=dingtalk.url) as sender:
        yield sender


def signed_right(headers: dict[str, str], tolerance_ms: int = 3_600_000) -> bool:
    """As a receiver checks it, written down once more."""
    stamp, given = headers.get("timestamp", "0"), headers.get("sign", "")
    mac = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
    fresh = abs(time.time() * 1000 - int(stamp)) <= tolerance_ms
    return fresh and hmac.compare_digest(base64.b64encode(mac).decode(), given)


@pytest.mark.parametrize(
    ("timestamp", "secret", "expected"),
    [
        ("1577262236757", "this is a secret", "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA="),
        ("1700000000000", "mindbot-demo-secret", "d/SysxDsd2AarSYtSl/OUxgeczncYFerMY1RX0vWG7w="),
    ],
)
def test_signatures_of_the_vendor(timestamp: str, secret: str, expected: str) -> None:
    assert sign(timestamp, secret) == expected


def test_a_text_one_to_one(sender: DingTalkSender, door: Door) -> None:
    sent = sender.send("hello", user="user07", nick="Li Si")
    assert (sent.status, sent.acknowledged, sent.answers[0].body) == (200, True, "{}")
    [(headers, body)] = door.posts
    data = json.loads(body)
    assert signed_right(headers)
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert (data["msgId"], data["conversationId"]) == (sent.msg_id, sent.conversation)
    assert (data["msgtype"], data["text"], data["conversationType"]) == ("text", {"content": "hello"}, "1")
    assert (data["senderStaffId"], data["senderNick"]) == ("user07", "Li Si")
    assert data["sessionWebhookExpiredTime"] - data["createAt"] == 5_400_000
    assert "atUsers" not in data


def test_a_group(sender: DingTalkSender, door: Door) -> None:
    sender.send("hello", group=True, conversation="cidG==")
    data = json.loads(door.posts[0][1])
    assert (data["conversationType"], data["conversationId"], data["isInAtList"]) == ("2", "cidG==", True)
    assert data["text"] == {"content": " hello"}
    assert data["atUsers"] == [{"dingtalkId": data["chatbotUserId"]}]


def test_the_session_webhook_answers_the_conversation(
    sender: DingTalkSender, door: Door, dingtalk: Emulator, http: requests.Session
) -> None:
    sent = sender.send("hello", conversation="cid5==")
    webhook = json.loads(door.posts[0][1])["sessionWebhook"]
    assert webhook.startswith(dingtalk.url)
    answer = http.post(webhook, json={"msgtype": "text", "text": {"content": "You said: hello"}}).json()
    assert answer["errcode"] == 0
    [record] = dingtalk.control.calls()
    assert (record["conversation"], record["for_msg_id"], record["session"]) == ("cid5==", sent.msg_id, sent.session)


def test_the_session_webhook_can_be_short_lived_or_foreign(sender: DingTalkSender, door: Door) -> None:
    sender.send(session_lifetime_s=1)
    sender.send(session_webhook="http://169.254.169.254/latest")
    short, foreign = (json.loads(body) for _, body in door.posts)
    assert short["sessionWebhookExpiredTime"] - short["createAt"] == 1000
    assert foreign["sessionWebhook"] == "http://169.254.169.254/latest"


@pytest.mark.parametrize(
    ("kind", "right"), [("text", True), ("bad_signature", False), ("unsigned", False), ("stale", False)]
)
def test_signatures_by_kind(sender: DingTalkSender, door: Door, kind: Any, right: bool) -> None:
    sender.send(kind=kind)
    headers, _ = door.posts[0]
    assert signed_right(headers) is right
    assert ("sign" in headers) is (kind != "unsigned")


def test_a_stale_signature_is_right_but_for_its_age(sender: DingTalkSender, door: Door) -> None:
    sender.send(kind="stale")
    headers, _ = door.posts[0]
    assert not signed_right(headers)
    assert signed_right(headers, tolerance_ms=4_000_000)


def test_a_duplicate_is_the_same_message_twice(sender: DingTalkSender, door: Door) -> None:
    sent = sender.send(kind="duplicate")
    assert [answer.status for answer in sent.answers] == [200, 200]
    first, second = (json.loads(body) for _, body in door.posts)
    assert first == second


def test_a_message_can_be_replayed(sender: DingTalkSender, door: Door, dingtalk: Emulator) -> None:
    callback = Callback(text="again")
    post = build(callback, secret=SECRET, emulator_url=dingtalk.url)
    assert [sender.repeat(post, callback).msg_id for _ in range(3)] == [post.msg_id] * 3
    assert len(door.posts) == 3


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("no_text", {"msgtype": "text", "errorMessage": "quota exhausted", "code": "20001"}),
        ("string_content", {"msgtype": "text", "text": '{"content":"hello"}'}),
        ("picture", {"msgtype": "picture", "content": {"downloadCode": "code-1", "pictureDownloadCode": "code-2"}}),
        ("unknown_type", {"msgtype": "unknownMsgType", "content": {"unknownMsgType": "hologram"}}),
    ],
)
def test_bodies_by_kind(sender: DingTalkSender, door: Door, kind: Any, expected: dict[str, object]) -> None:
    sender.send(kind=kind)
    headers, body = door.posts[0]
    data = json.loads(body)
    assert signed_right(headers)
    assert {name: data[name] for name in expected} == expected
    assert ("text" in data) is ("text" in expected)


def test_a_body_that_is_no_json_is_signed_all_the_same(sender: DingTalkSender, door: Door) -> None:
    sender.send(kind="not_json")
    headers, body = door.posts[0]
    assert signed_right(headers)
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_a_door_that_is_closed_is_an_answer_too(dingtalk: Emulator) -> None:
    with DingTalkSender("http://127.0.0.1:1/", SECRET, emulator_url=dingtalk.url) as sender:
        sent = sender.send()
    assert (sent.status, sent.acknowledged, sent.answers[0].error) == (0, False, "ConnectionError")


def test_the_sender_logs_before_and_after(door: Door, dingtalk: Emulator, tmp_path: Path) -> None:
    log = tmp_path / "webhooks.jsonl"
    door.statuses = [503]
    with DingTalkSender(door.url, SECRET, emulator_url=dingtalk.url, log=log) as sender:
        sent = sender.send("hello", conversation="cid1")
    before, after = read(log)
    assert (before["event"], before["msg_id"], before["text"]) == ("webhook", sent.msg_id, "hello")
    assert (before["conversation"], before["kind"]) == ("cid1", "text")
    assert (after["event"], after["msg_id"], after["status"]) == ("webhook_answer", sent.msg_id, 503)
    assert SECRET not in log.read_text()


@pytest.mark.parametrize("wrong", [{"kind": "polite"}, {"colour": "red"}])
def test_an_unknown_wish_is_refused(sender: DingTalkSender, wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        sender.send(**wrong)


def test_the_emulator_sends_by_its_control_api(dingtalk: Emulator, door: Door) -> None:
    sent = dingtalk.control.call(
        "POST", "/send", {"url": door.url, "app_secret": SECRET, "text": "hi", "user": "user02", "group": True}
    )
    assert (sent["status"], sent["acknowledged"]) == (200, True)
    headers, body = door.posts[0]
    assert signed_right(headers)
    assert json.loads(body)["sessionWebhook"] == f"{dingtalk.url}/robot/sendBySession?session={sent['session']}"
    [before] = dingtalk.control.calls(event="webhook")
    [after] = dingtalk.control.calls(event="webhook_answer")
    assert (before["msg_id"], before["text"], after["status"]) == (sent["msg_id"], "hi", 200)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_goes_by_the_control_api(dingtalk: Emulator, door: Door, kind: str) -> None:
    sent = dingtalk.control.call("POST", "/send", {"url": door.url, "app_secret": SECRET, "kind": kind})
    assert len(sent["answers"]) == len(door.posts) == (2 if kind == "duplicate" else 1)


def test_a_message_that_was_not_taken_comes_once_more(dingtalk: Emulator, door: Door) -> None:
    wish = {"url": door.url, "app_secret": SECRET, "redeliver_after_s": 0.1}
    door.statuses = [503]
    assert [a["status"] for a in dingtalk.control.call("POST", "/send", wish)["answers"]] == [503, 200]
    assert [a["status"] for a in dingtalk.control.call("POST", "/send", wish)["answers"]] == [200]
    assert door.posts[0][1] == door.posts[1][1]


def test_a_door_that_is_closed_by_the_control_api(dingtalk: Emulator) -> None:
    sent = dingtalk.control.call("POST", "/send", {"url": "http://127.0.0.1:1/", "app_secret": SECRET})
    assert (sent["status"], sent["answers"][0]["error"]) == (0, "ClientConnectorError")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"app_secret": "s"}, "url must be"),
        ({"url": "file:///etc", "app_secret": "s"}, "url must be"),
        ({"url": "http://127.0.0.1:1/"}, "app_secret must be"),
        ({"url": "http://127.0.0.1:1/", "app_secret": "s", "kind": "polite"}, "kind must be one of text, "),
        ({"url": "http://127.0.0.1:1/", "app_secret": "s", "colour": "red"}, "unknown: colour; known: "),
        ({"url": "http://127.0.0.1:1/", "app_secret": "s", "text": 7}, "text has the wrong type"),
        ([], "must be a JSON object"),
    ],
)
def test_a_wrong_wish_is_told_so(dingtalk: Emulator, wish: object, words: str) -> None:
    with pytest.raises(requests.HTTPError, match=words):
        dingtalk.control.call("POST", "/send", wish)
