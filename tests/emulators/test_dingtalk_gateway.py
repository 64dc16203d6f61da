"""The Stream gateway, with the vendor's own SDK as its client, and what it does that the SDK cannot show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from emulators.dingtalk.gateway import OPEN_PATH
from emulators.dingtalk.gateway_link import CARD_TOPIC, ROBOT_TOPIC, check
from emulators.running import Emulator, running

ROOT = Path(__file__).resolve().parents[2]
ALL = [{"type": "CALLBACK", "topic": ROBOT_TOPIC}, {"type": "CALLBACK", "topic": CARD_TOPIC},
       {"type": "EVENT", "topic": "*"}]  # fmt: skip


@pytest.fixture
def gateway(dingtalk: Emulator) -> Emulator:
    return dingtalk


def open_connection(gateway: Emulator, **changes: Any) -> requests.Response:
    body = {"clientId": "dingapp0001", "clientSecret": "s", "subscriptions": ALL, **changes}
    return requests.post(gateway.url + OPEN_PATH, json=body, timeout=30)


def join(gateway: Emulator, **changes: Any) -> ClientConnection:
    given = open_connection(gateway, **changes).json()
    return connect(f"{given['endpoint']}?ticket={given['ticket']}", proxy=None)


def ack(frame: dict[str, Any], data: Any, code: int = 200) -> str:
    headers = {"contentType": "application/json", "messageId": frame["headers"]["messageId"]}
    return json.dumps({"code": code, "headers": headers, "message": "OK", "data": json.dumps(data)})


def control(gateway: Emulator, path: str, **data: Any) -> Any:
    return gateway.control.call("POST", f"/stream/{path}", data)


# the vendor's code


@pytest.fixture
def sdk(gateway: Emulator) -> Iterator[IO[bytes]]:
    """The SDK's client in a process of its own, connected; what its handlers were given, line by line."""
    command = [sys.executable, "-m", "tests.emulators.sdk_client", gateway.url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    try:
        gateway.control.wait_for(1, event="connect", accepted=True)
        assert client.stdout is not None
        yield client.stdout
    finally:
        client.kill()
        client.wait(30)
        assert client.stdout is not None
        client.stdout.close()


def test_the_vendors_sdk_gets_messages_cards_and_events_and_acknowledges_them(
    gateway: Emulator, sdk: IO[bytes]
) -> None:
    sent = control(gateway, "send", text="hello", conversation="cid1==", group=True)
    control(gateway, "card", data={"outTrackId": "t1", "content": "{}"})
    control(gateway, "event", type="user_add_org")
    heard = dict(json.loads(sdk.readline()) for _ in range(3))
    assert heard == {"robot": [sent["msg_id"], "hello", "2"], "card": "t1", "event": "user_add_org"}
    robot, card, event = (
        gateway.control.wait_for(1, event="ack", topic=topic)[0] for topic in (ROBOT_TOPIC, CARD_TOPIC, "*")
    )
    assert [each["problems"] for each in (robot, card, event)] == [[], [], []]
    assert robot["accepted"]
    assert "cardData" in card["data"]
    assert event["code"] == 200


# what only a client of our own shows


def test_bad_credentials_get_the_vendors_401(gateway: Emulator) -> None:
    with running("dingtalk", "--app-key", "dingapp0001", "--app-secret", "right") as strict:
        answer = open_connection(strict, clientSecret="right ")
        assert (answer.status_code, answer.json()["code"]) == (401, "authFailed")
        assert open_connection(strict, clientSecret="right").status_code == 200


def test_a_ticket_is_good_once_and_not_for_long(gateway: Emulator) -> None:
    given = open_connection(gateway).json()
    url = f"{given['endpoint']}?ticket={given['ticket']}"
    with connect(url, proxy=None), pytest.raises(InvalidStatus):
        connect(url, proxy=None)
    control(gateway, "times", ticket_s=0)
    with pytest.raises(InvalidStatus):
        join(gateway)


def test_each_message_goes_to_one_connection_and_comes_once_more_to_another_if_not_acknowledged(
    gateway: Emulator,
) -> None:
    control(gateway, "times", redeliver_s=0.3)
    with join(gateway) as one, join(gateway) as two:
        sent = control(gateway, "send", text="hello")
        frames = []
        for socket in (one, two):
            frame = json.loads(socket.recv(timeout=30))
            assert json.loads(frame["data"])["msgId"] == sent["msg_id"]
            frames.append(frame)
        assert frames[0]["headers"]["messageId"] == frames[1]["headers"]["messageId"]
        two.send(ack(frames[1], {"response": None}))
        gateway.control.wait_for(1, event="ack", accepted=True)
        time.sleep(0.4)
    assert len(gateway.control.calls(event="frame")) == 2


def test_an_event_answered_later_comes_again(gateway: Emulator) -> None:
    control(gateway, "times", redeliver_s=0.2)
    with join(gateway) as socket:
        control(gateway, "event")
        socket.send(ack(json.loads(socket.recv(timeout=30)), {"status": "LATER"}))
        frame = json.loads(socket.recv(timeout=30))
        socket.send(ack(frame, {"status": "SUCCESS"}))
        assert gateway.control.wait_for(2, event="ack")[1]["accepted"]


def test_a_connection_without_the_subscription_gets_nothing(gateway: Emulator) -> None:
    with join(gateway, subscriptions=ALL[2:]) as socket:
        assert control(gateway, "send", text="hello")["connection"] == ""
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "not JSON"),
        ("[]", "not an object"),
        ('{"code": 200, "headers": {"messageId": "1", "contentType": "application/json"}, "message": "OK", '
         '"data": {"response": null}}', "data is not a text that holds a JSON object"),
        ('{"code": "200", "headers": {}, "message": "OK", "data": "{}"}', "headers.messageId is missing"),
    ],
)  # fmt: skip
def test_wrong_acknowledgements_are_told_apart(text: str, problem: str) -> None:
    assert problem in check(text)[1]
