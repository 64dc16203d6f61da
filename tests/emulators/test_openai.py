"""The model server: what a client of OpenAI's chat completions may rely on."""

from __future__ import annotations

import time

import pytest
import requests

from emulators.running import Emulator, running
from emulators.words import answer_to, tokens
from tests.emulators.wire import chat, events, text_of
from tests.slack import at_most
from tests.stores.files import wav


def test_a_plain_answer_echoes_the_last_user_message(openai: Emulator, http: requests.Session) -> None:
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "You said: first"},
        {"role": "user", "content": "second {braces}"},
    ]
    answer = chat(http, openai, messages=messages).json()
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "You said: second {braces}"}
    assert answer["choices"][0]["finish_reason"] == "stop"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    [record] = openai.control.calls()
    assert (record["text"], record["messages"], record["stream"]) == ("second {braces}", 4, False)


def test_a_message_of_parts(openai: Emulator, http: requests.Session) -> None:
    parts = [
        {"type": "text", "text": "look "},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "here"},
    ]
    answer = chat(http, openai, messages=[{"role": "user", "content": parts}]).json()
    assert answer["choices"][0]["message"]["content"] == "I see 1 picture(s). You said: look here"
    assert openai.control.calls()[-1]["pictures"] == [-1]
    refused = chat(http, openai, model="blind-1", messages=[{"role": "user", "content": parts}])
    assert refused.status_code == 400


def test_a_recording_is_heard(openai: Emulator, http: requests.Session) -> None:
    def post(name: str, content: bytes, **fields: str) -> requests.Response:
        url = f"{openai.url}/v1/audio/transcriptions"
        return http.post(url, data=fields, files={"file": (name, content)}, timeout=10)

    assert post("voice.wav", wav(0.5), model="whisper").json() == {"text": "a recording of 0.5 seconds"}
    assert post("voice.amr", b"#!AMR", model="whisper").status_code == 400
    assert post("voice.wav", b"RIFF", model="whisper").status_code == 400
    assert post("voice.wav", wav(0.5)).status_code == 400


def test_a_stream(openai: Emulator, http: requests.Session) -> None:
    response = chat(http, openai, "你好 world", stream=True)
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.content.endswith(b"data: [DONE]\n\n")
    chunks = events(response.content)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert text_of(response.content) == "You said: 你好 world"
    assert not any("usage" in chunk for chunk in chunks)


def test_a_stream_with_usage_has_one_more_chunk_without_choices(openai: Emulator, http: requests.Session) -> None:
    response = chat(http, openai, stream=True, stream_options={"include_usage": True})
    *_, last = events(response.content)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 3


def test_the_delay_comes_before_the_first_byte(openai: Emulator, http: requests.Session) -> None:
    openai.control.pace(delay_ms=300)
    started = time.monotonic()
    response = chat(http, openai, stream=True, read_later=True)
    assert time.monotonic() - started >= 0.3
    assert text_of(response.content) == "You said: hello"


@pytest.mark.parametrize("stream", [True, False])
def test_tokens_come_at_their_speed(openai: Emulator, http: requests.Session, stream: bool) -> None:
    openai.control.pace(tokens_per_second=20)
    started = time.monotonic()
    response = chat(http, openai, "one two three four five six seven eight", stream=stream, read_later=True)
    pieces = list(response.iter_content(None))
    assert 0.35 < time.monotonic() - started < at_most(3)
    assert (len(pieces) > 2) is stream


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"not json", 400, None),
        (b"[]", 400, None),
        (b'{"messages": [{"role": "user", "content": "x"}]}', 400, "model"),
        (b'{"model": "m", "messages": []}', 400, "messages"),
        (b'{"model": "m", "messages": ["x"]}', 400, "messages"),
    ],
)
def test_a_wrong_request(openai: Emulator, http: requests.Session, body: bytes, status: int, param: str | None) -> None:
    response = http.post(f"{openai.url}/v1/chat/completions", data=body)
    assert response.status_code == status
    assert response.json()["error"]["param"] == param
    assert openai.control.calls()[0]["accepted"] is False


def test_an_unknown_path_is_a_logged_404(openai: Emulator, http: requests.Session) -> None:
    response = http.post(f"{openai.url}/v1/moderations", json={})
    assert (response.status_code, response.json()["error"]["type"]) == (404, "invalid_request_error")
    assert openai.control.calls()[0]["path"] == "/v1/moderations"


def test_a_body_over_two_megabytes_is_refused_and_logged(openai: Emulator, http: requests.Session) -> None:
    response = http.post(f"{openai.url}/v1/chat/completions", data=b"x" * (2 * 1024 * 1024 + 1))
    assert response.status_code == 413
    assert openai.control.calls(status=413)
    assert chat(http, openai, "x" * 1_900_000).status_code == 200


def test_keys_models_and_length_by_option(http: requests.Session) -> None:
    with running("openai", "--api-key", "right", "--model", "m", "--model", "n", "--words", "3") as openai:
        right = {"Authorization": "Bearer right"}
        assert chat(http, openai).status_code == 401
        assert http.get(f"{openai.url}/v1/models").status_code == 401
        listed = http.get(f"{openai.url}/v1/models", headers=right).json()
        assert [model["id"] for model in listed["data"]] == ["m", "n"]
        unknown = chat(http, openai, model="gone", headers=right)
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
        said = chat(http, openai, headers=right).json()["choices"][0]["message"]["content"]
        assert said == "You said: hello word1 word2 word3"


@pytest.mark.parametrize("text", ["", " ", "a  b\n\nc", "你好,世界 hi", "emoji 👩‍👩‍👧 end ", "{text}"])
def test_tokens_join_to_the_text_again(text: str) -> None:
    assert "".join(tokens(text)) == text
    assert answer_to(text, None) == f"You said: {text}"
