"""DingTalk's tokens and sends: what is accepted, what is refused, and with which words."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from emulators.dingtalk import sessions
from emulators.running import Emulator, running

TO_PEOPLE = "/v1.0/robot/oToMessages/batchSend"
TO_GROUP = "/v1.0/robot/groupMessages/send"
TEXT = {"msgKey": "sampleText", "msgParam": json.dumps({"content": "hello"})}


def token_of(http: requests.Session, dingtalk: Emulator, key: str = "key", word: str = "any") -> Any:
    body = {"appKey": key, "appSecret": word}
    return http.post(f"{dingtalk.url}/v1.0/oauth2/accessToken", json=body)


def send(http: requests.Session, dingtalk: Emulator, path: str, body: dict[str, Any], token: str | None = None) -> Any:
    if token is None:
        token = token_of(http, dingtalk).json()["accessToken"]
    headers = {"x-acs-dingtalk-access-token": token}
    return http.post(f"{dingtalk.url}{path}", json={"robotCode": "dingapp0001", **TEXT, **body}, headers=headers)


def reply(http: requests.Session, dingtalk: Emulator, session: str, body: Any) -> Any:
    return http.post(f"{dingtalk.url}/robot/sendBySession", params={"session": session}, json=body).json()


def test_a_token_stays_the_same_until_it_is_made_to_expire(dingtalk: Emulator, http: requests.Session) -> None:
    first, again = token_of(http, dingtalk).json(), token_of(http, dingtalk).json()
    assert first == again == {"accessToken": first["accessToken"], "expireIn": 7200}
    assert token_of(http, dingtalk, "other").json()["accessToken"] != first["accessToken"]
    dingtalk.control.call("POST", "/tokens/expire")
    late = send(http, dingtalk, TO_PEOPLE, {"userIds": ["u"]}, first["accessToken"])
    assert (late.status_code, late.json()["code"]) == (400, "InvalidAuthentication")
    assert token_of(http, dingtalk).json()["accessToken"] != first["accessToken"]


def test_the_legacy_token_is_the_same_one(dingtalk: Emulator, http: requests.Session) -> None:
    query = {"appkey": "key", "appsecret": "any"}
    legacy = http.get(f"{dingtalk.url}/gettoken", params=query).json()
    assert (legacy["errcode"], legacy["expires_in"]) == (0, 7200)
    assert legacy["access_token"] == token_of(http, dingtalk).json()["accessToken"]


def test_a_token_dies_of_age(http: requests.Session) -> None:
    with running("dingtalk", "--token-lifetime-s", "3") as dingtalk:
        token = token_of(http, dingtalk).json()["accessToken"]
        assert send(http, dingtalk, TO_PEOPLE, {"userIds": ["u"]}, token).status_code == 200
        time.sleep(3.1)
        late = send(http, dingtalk, TO_PEOPLE, {"userIds": ["u"]}, token)
        assert late.json()["code"] == "InvalidAuthentication"
        assert token_of(http, dingtalk).json()["accessToken"] != token


def test_wrong_credentials(http: requests.Session) -> None:
    with running("dingtalk", "--app-key", "key", "--app-secret", "right") as dingtalk:
        assert token_of(http, dingtalk, word="right").status_code == 200
        wrong = token_of(http, dingtalk, word="wrong")
        assert (wrong.status_code, wrong.json()["code"]) == (400, "invalidClientIdOrSecret")
        legacy = http.get(f"{dingtalk.url}/gettoken", params={"appkey": "key", "appsecret": "wrong"})
        assert (legacy.status_code, legacy.json()["errcode"]) == (200, 40089)


def test_a_form_is_no_token_request(dingtalk: Emulator, http: requests.Session) -> None:
    response = http.post(f"{dingtalk.url}/v1.0/oauth2/accessToken", data={"appKey": "key", "appSecret": "s"})
    assert (response.status_code, response.json()["code"]) == (400, "Missingbody")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"msgtype": "text", "text": {"content": "plain"}, "at": {"atUserIds": ["user01"]}}, "plain"),
        ({"msgtype": "markdown", "markdown": {"title": "t", "text": "**bold**"}}, "**bold**"),
        ({"msgtype": "link", "link": {"title": "t", "text": "x", "picUrl": "", "messageUrl": "http://x"}}, "x"),
        ({"msgtype": "actionCard", "actionCard": {"title": "t", "text": "x", "singleTitle": "a"}}, "x"),
        ({"msgtype": "feedCard", "feedCard": {"links": [{"title": "t"}]}}, ""),
    ],
)
def test_a_session_reply_is_recorded_with_its_conversation(
    dingtalk: Emulator, http: requests.Session, body: dict[str, Any], text: str
) -> None:
    dingtalk.control.call("POST", "/sessions", {"session": "s1", "conversation": "cid1", "msg_id": "msg1"})
    assert reply(http, dingtalk, "s1", body) == {"errcode": 0, "errmsg": "ok"}
    [record] = dingtalk.control.calls()
    assert (record["accepted"], record["conversation"], record["for_msg_id"]) == (True, "cid1", "msg1")
    assert (record["session"], record["msgtype"], record["text"]) == ("s1", body["msgtype"], text)
    assert record.get("at_user_ids") == (["user01"] if "at" in body else None)


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"msgtype": "image", "image": {"content": "x"}}, 400105),
        ({"msgtype": ["text"]}, 400105),
        ({}, 400105),
        ({"msgtype": "text", "text": {"content": ""}}, 40035),
        ({"msgtype": "text", "text": "hello"}, 40035),
        ({"msgtype": "markdown", "markdown": {"text": "no title"}}, 40035),
        ({"msgtype": "text", "text": {"content": "x" * 20_000}}, 460101),
        ([], 43004),
    ],
)
def test_a_reply_that_cannot_be_shown(dingtalk: Emulator, http: requests.Session, body: object, errcode: int) -> None:
    dingtalk.control.call("POST", "/sessions", {"session": "s1"})
    assert reply(http, dingtalk, "s1", body)["errcode"] == errcode
    assert dingtalk.control.calls()[0]["accepted"] is False


def hello(http: requests.Session, dingtalk: Emulator, session: str) -> Any:
    return reply(http, dingtalk, session, {"msgtype": "text", "text": {"content": "hello"}})


def test_unknown_and_ended_sessions(dingtalk: Emulator, http: requests.Session) -> None:
    gone = {"errcode": 300001, "errmsg": "session 不存在"}
    assert hello(http, dingtalk, "s1") == gone
    assert hello(http, dingtalk, "") == gone
    dingtalk.control.call("POST", "/sessions", {"session": "s1"})
    dingtalk.control.call("POST", "/sessions", {"session": "s2"})
    assert hello(http, dingtalk, "s1")["errcode"] == 0
    dingtalk.control.call("POST", "/sessions/expire", {"session": "s1"})
    assert hello(http, dingtalk, "s1") == gone
    assert hello(http, dingtalk, "s2")["errcode"] == 0
    dingtalk.control.call("POST", "/sessions/expire")
    assert hello(http, dingtalk, "s2") == gone
    assert [call["accepted"] for call in dingtalk.control.calls()] == [False, False, True, False, True, False]
    with pytest.raises(requests.HTTPError, match="session must be a text"):
        dingtalk.control.call("POST", "/sessions", {})


def test_a_session_of_a_sender_is_good_until_its_time(dingtalk: Emulator, http: requests.Session) -> None:
    now_ms = time.time_ns() // 1_000_000
    good = sessions.issue("cid1", "msg1", now_ms=now_ms)
    late = sessions.issue("cid1", "msg1", now_ms=now_ms - 6_000_000)
    assert hello(http, dingtalk, good)["errcode"] == 0
    assert hello(http, dingtalk, late)["errcode"] == 300001
    assert hello(http, dingtalk, good[:-1] + "0")["errcode"] == 300001
    assert dingtalk.control.calls()[1]["conversation"] == "cid1"


@pytest.mark.parametrize("text", ["", "zz", "0" * 16, "0" * 16 + "zz", "é" * 20])
def test_a_made_up_session_is_nobodys(text: str) -> None:
    assert sessions.read(text) is None


def test_a_send_to_people(dingtalk: Emulator, http: requests.Session) -> None:
    dingtalk.control.call("POST", "/people", {"invalid": ["ghost"], "flow_controlled": ["busy"]})
    answer = send(http, dingtalk, TO_PEOPLE, {"userIds": ["user01", "ghost", "busy"]}).json()
    assert answer["processQueryKey"]
    assert (answer["invalidStaffIdList"], answer["flowControlledStaffIdList"]) == (["ghost"], ["busy"])
    [record] = dingtalk.control.calls(path=TO_PEOPLE)
    assert (record["accepted"], record["reached"], record["text"]) == (True, ["user01"], "hello")
    assert send(http, dingtalk, TO_PEOPLE, {"userIds": ["ghost"]}).status_code == 200
    assert dingtalk.control.calls(path=TO_PEOPLE)[1]["accepted"] is False


def test_a_send_to_a_group(dingtalk: Emulator, http: requests.Session) -> None:
    param = json.dumps({"title": "t", "text": "**hi**"})
    body = {"openConversationId": "cid9==", "msgKey": "sampleMarkdown", "msgParam": param}
    assert send(http, dingtalk, TO_GROUP, body).json()["processQueryKey"]
    [record] = dingtalk.control.calls(path=TO_GROUP)
    assert (record["conversation"], record["title"], record["text"]) == ("cid9==", "t", "**hi**")
    wrong = send(http, dingtalk, TO_GROUP, {**body, "openConversationId": "9"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid.openConversationId")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"robotCode": ""}, "invalidParameter.robotCode.auth"),
        ({"msgKey": "sampleSong"}, "invalidParameter.msgKey.invalid"),
        ({"msgKey": None}, "invalidParameter.msgKey.invalid"),
        ({"msgParam": {"content": "an object, not a text"}}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": "no json"}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": "[]"}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": json.dumps({"text": "wrong key"})}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": json.dumps({"content": 7})}, "invalidParameter.msgParam.invalid"),
        ({"msgParam": json.dumps({"content": "x" * 15_000})}, "invalidParameter.msgParam.invalid"),
        ({"msgKey": "sampleActionCard2", "msgParam": json.dumps({"title": "t", "text": "x", "actionTitle1": "a"})},
         "invalidParameter.msgParam.invalid"),
        ({"userIds": [f"u{n}" for n in range(21)]}, "invalidParameter.userIds.overMax"),
        ({"userIds": []}, "invalidParameter.userIds.empty"),
        ({"userIds": [7]}, "invalidParameter.userIds.empty"),
    ],
)  # fmt: skip
def test_a_send_that_is_wrong(dingtalk: Emulator, http: requests.Session, body: dict[str, Any], code: str) -> None:
    response = send(http, dingtalk, TO_PEOPLE, {"userIds": ["user01"], **body})
    error = response.json()
    assert (response.status_code, error["code"]) == (400, code)
    assert set(error) == {"code", "message", "requestid"}
    assert dingtalk.control.calls(path=TO_PEOPLE)[0]["accepted"] is False


@pytest.mark.parametrize("path", [TO_PEOPLE, TO_GROUP])
def test_a_send_without_a_token(dingtalk: Emulator, http: requests.Session, path: str) -> None:
    body = {"userIds": ["user01"], "openConversationId": "cid1"}
    error = send(http, dingtalk, path, body, "made-up")
    assert (error.status_code, error.json()["message"]) == (400, "不合法的access_token")


def test_sends_take_the_emulators_delay(dingtalk: Emulator, http: requests.Session) -> None:
    dingtalk.control.call("POST", "/sessions", {"session": "s1"})
    dingtalk.control.pace(delay_ms=200)
    hello(http, dingtalk, "s1")
    assert dingtalk.control.wait_for(outcome="sent")[0]["ms"] >= 200


def test_an_unknown_path_has_an_error_of_the_new_api(dingtalk: Emulator, http: requests.Session) -> None:
    response = http.put(f"{dingtalk.url}/v1.0/card/dreaming", json={})
    assert (response.status_code, response.json()["code"]) == (404, "InvalidAction.NotFound")
