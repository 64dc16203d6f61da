"""What each fault does to a call, seen from the caller's side and in the call log."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from emulators.running import Emulator
from tests.emulators.wire import ask, chat, events, text_of


def until_it_dies(response: requests.Response) -> tuple[bytes, bool]:
    """What came of an answer, and whether its connection died before its end."""
    got = b""
    try:
        for chunk in response.iter_content(1):
            got += chunk
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return got, True
    return got, False


def test_delay(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("delay", delay_ms=300)
    started = time.monotonic()
    assert chat(http, openai).status_code == 200
    assert time.monotonic() - started >= 0.3
    assert openai.control.calls(fault="delay")[0]["accepted"] is True


def test_status_with_body_and_headers(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("status", status=503, body={"error": {"message": "full"}}, headers={"Retry-After": "7"})
    response = chat(http, openai)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    assert response.json() == {"error": {"message": "full"}}
    assert openai.control.calls()[0]["accepted"] is False


def test_status_with_text(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("status", status=500, body="oops")
    response = chat(http, openai)
    assert (response.text, response.headers["Content-Type"]) == ("oops", "text/plain")


@pytest.mark.parametrize(
    ("asked", "header"), [(2, "2"), (0.5, "0.5"), ("Fri, 20 Nov 2026 08:00:00 GMT",) * 2, (None, None)]
)
def test_throttle(openai: Emulator, http: requests.Session, asked: object, header: str | None) -> None:
    openai.control.fault("throttle", retry_after=asked)
    response = chat(http, openai)
    assert (response.status_code, response.headers.get("Retry-After")) == (429, header)
    assert response.json()["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("status", [200, 502])
def test_html(openai: Emulator, http: requests.Session, status: int) -> None:
    openai.control.fault("html", status=status)
    response = chat(http, openai)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "text/html")
    with pytest.raises(requests.JSONDecodeError):
        response.json()


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("action", "accepted"), [("drop", False), ("accept_then_cut", True)])
def test_a_connection_that_dies_without_an_answer(
    openai: Emulator, http: requests.Session, action: str, accepted: bool, reset: bool
) -> None:
    openai.control.fault(action, reset=reset)
    with pytest.raises(requests.ConnectionError) as caught:
        chat(http, openai, "did you hear me?")
    assert ("reset by peer" in str(caught.value)) is reset
    [record] = openai.control.wait_for(outcome="cut")
    assert record["accepted"] is accepted
    assert record.get("text") == ("did you hear me?" if accepted else None)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_cut_after_bytes(openai: Emulator, http: requests.Session, stream: bool, reset: bool) -> None:
    openai.control.fault("cut", after_bytes=40, reset=reset)
    response = chat(http, openai, stream=stream, read_later=True)
    assert response.status_code == 200
    got, died = until_it_dies(response)
    assert (len(got), died) == (40, True)


def test_cut_after_events(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("cut", after_events=3)
    response = chat(http, openai, stream=True, read_later=True)
    got, died = until_it_dies(response)
    assert (text_of(got), died) == ("You said:", True)
    assert openai.control.wait_for(outcome="cut")


@pytest.mark.parametrize("stream", [False, True])
def test_a_clean_cut_is_a_well_formed_answer_that_lacks_its_end(
    openai: Emulator, http: requests.Session, stream: bool
) -> None:
    where: dict[str, Any] = {"after_events": 3} if stream else {"after_bytes": 9}
    openai.control.fault("cut", clean=True, **where)
    response = chat(http, openai, stream=stream)
    assert response.status_code == 200
    if stream:
        assert text_of(response.content) == "You said:"
        assert b"[DONE]" not in response.content
    else:
        assert len(response.content) == 9


def test_drip(openai: Emulator, http: requests.Session) -> None:
    whole = len(chat(http, openai, "x").content)
    openai.control.fault("drip", bytes_per_s=whole)
    started = time.monotonic()
    response = chat(http, openai, "x", read_later=True)
    assert len(list(response.iter_content(1))) == whole
    assert time.monotonic() - started > 0.8


def test_a_stream_can_drip_too(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("drip", bytes_per_s=4000)
    response = chat(http, openai, stream=True, read_later=True)
    pieces = list(response.iter_content(None))
    assert text_of(b"".join(pieces)) == "You said: hello"
    assert len(pieces) > 5


def test_silence_takes_the_call_and_says_nothing(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("silence")
    with pytest.raises(requests.ReadTimeout):
        chat(http, openai, timeout=0.3)
    assert openai.control.wait_for(outcome="client_gone")[0]["accepted"] is True


def test_silence_after_the_headers(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("silence", headers=True)
    response = chat(http, openai, stream=True, read_later=True, timeout=2)
    assert response.status_code == 200
    with pytest.raises(requests.ConnectionError, match="Read timed out"):
        list(response.iter_content(None))


def test_silence_ends_the_connection_when_its_time_is_over(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("silence", seconds=0.2)
    with pytest.raises(requests.ConnectionError):
        chat(http, openai)
    assert openai.control.wait_for(outcome="cut")


def test_ping_only_keeps_the_connection_busy_without_a_word(dify: Emulator, http: requests.Session) -> None:
    dify.control.fault("silence", ping=True, ping_every_s=0.05, seconds=0.3)
    response = ask(http, dify, read_later=True)
    got, died = until_it_dies(response)
    assert died
    assert got.count(b"event: ping\n\n") >= 4
    assert b"data:" not in got


@pytest.mark.parametrize(
    ("what", "sign"),
    [
        ("json", b"not json"),
        ("unknown_event", b'"event":"surprise"'),
        ("huge", b"x" * 100_000),
    ],
)
def test_a_stream_with_a_stranger_in_it(openai: Emulator, http: requests.Session, what: str, sign: bytes) -> None:
    openai.control.fault("malformed", what=what, huge_bytes=100_000)
    body = chat(http, openai, stream=True).content
    assert sign in body
    assert body.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_ends_inside_an_event(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("malformed", what="cut_event")
    body = chat(http, openai, stream=True).content
    assert body.startswith(b"data: {")
    assert not body.endswith(b"\n\n")


def test_a_stream_that_goes_on_after_its_end(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("malformed", what="after_end")
    body = chat(http, openai, stream=True).content
    assert b"hello" in body.split(b"data: [DONE]\n\n")[1]


def test_a_stream_that_is_empty(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("malformed", what="empty")
    response = chat(http, openai, stream=True)
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(("what", "kind"), [("content_type", "text/plain"), ("html", "text/html")])
@pytest.mark.parametrize("stream", [False, True])
def test_the_wrong_content_type(openai: Emulator, http: requests.Session, what: str, kind: str, stream: bool) -> None:
    openai.control.fault("malformed", what=what)
    response = chat(http, openai, stream=stream)
    assert (response.status_code, response.headers["Content-Type"]) == (200, kind)
    assert (b"<html>" in response.content) is (what == "html")


@pytest.mark.parametrize("what", ["json", "cut_event", "after_end", "empty"])
def test_a_plain_answer_that_is_no_json(openai: Emulator, http: requests.Session, what: str) -> None:
    openai.control.fault("malformed", what=what)
    with pytest.raises(requests.JSONDecodeError):
        chat(http, openai).json()


@pytest.mark.parametrize("what", ["unknown_event", "huge"])
def test_a_plain_answer_that_is_another(openai: Emulator, http: requests.Session, what: str) -> None:
    openai.control.fault("malformed", what=what, huge_bytes=50_000)
    assert "choices" not in chat(http, openai).json()


def test_split_utf8_ends_every_piece_inside_a_character(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("split_utf8")
    response = chat(http, openai, "你好,世界", stream=True, read_later=True)
    pieces = list(response.iter_content(None))
    torn = 0
    for piece in pieces:
        try:
            piece.decode()
        except UnicodeDecodeError:
            torn += 1
    assert torn >= 4
    assert text_of(b"".join(pieces)) == "You said: 你好,世界"


def test_crlf(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("crlf")
    body = chat(http, openai, stream=True).content
    assert body.count(b"\r\n\r\n") == body.count(b"\n") / 2
    assert text_of(body) == "You said: hello"


@pytest.mark.parametrize(("text", "repeat"), [("", 1), ("I cannot help with that.", 1), ("long ", 200_000)])
def test_a_model_can_be_told_what_to_say(openai: Emulator, http: requests.Session, text: str, repeat: int) -> None:
    openai.control.fault("answer", text=text, repeat=repeat, times=2)
    assert chat(http, openai).json()["choices"][0]["message"]["content"] == text * repeat
    assert text_of(chat(http, openai, stream=True).content) == text * repeat


def test_error_event_of_openai(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("error_event", after_events=2, code="server_error", message="gone")
    response = chat(http, openai, stream=True)
    assert response.status_code == 200
    *_, last = events(response.content)
    assert (last["error"]["code"], last["error"]["message"]) == ("server_error", "gone")
    assert b"[DONE]" not in response.content


def test_error_event_of_dify(dify: Emulator, http: requests.Session) -> None:
    dify.control.fault("error_event", status=429, code="too_many_requests", after_events=2)
    first, second, last = events(ask(http, dify).content)
    assert (first["event"], second["event"]) == ("message", "message")
    assert (last["event"], last["status"], last["code"]) == ("error", 429, "too_many_requests")
    assert last["task_id"] == first["task_id"]


def test_faults_strike_paths_that_nobody_knows_as_well(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("status", "/v2/*", status=418)
    assert http.get(f"{openai.url}/v2/anything").status_code == 418


def test_a_fault_on_a_send_accepts_the_text_all_the_same(dingtalk: Emulator, http: requests.Session) -> None:
    dingtalk.control.call("POST", "/sessions", {"session": "s1", "conversation": "cid1"})
    dingtalk.control.fault("accept_then_cut", "/robot/sendBySession")
    message = {"msgtype": "text", "text": {"content": "only once, please"}}
    with pytest.raises(requests.ConnectionError):
        http.post(f"{dingtalk.url}/robot/sendBySession?session=s1", json=message)
    [record] = dingtalk.control.calls(accepted=True)
    assert (record["text"], record["conversation"]) == ("only once, please", "cid1")
