"""The call log: written before the answer, whole after a kill, numbered on after a restart, without secrets."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import requests

from emulators.calls import CallLog, fingerprint, read
from emulators.running import Emulator, running
from tests.conftest import free_port
from tests.emulators.wire import chat


def test_a_call_is_in_the_file_before_its_answer_is_sent(tmp_path: Path, http: requests.Session) -> None:
    log = tmp_path / "calls.jsonl"
    with running("openai", log=log) as emulator:
        emulator.control.fault("silence", headers=False)
        with pytest.raises(requests.Timeout):
            chat(http, emulator, "are you there?", timeout=0.5)
        emulator.control.wait_for()  # it has read the call
        [record] = read(log)
    assert record["accepted"] is True
    assert record["text"] == "are you there?"


def test_killing_the_emulator_loses_no_line_and_the_numbers_go_on(tmp_path: Path, http: requests.Session) -> None:
    log = tmp_path / "calls.jsonl"
    emulator = Emulator("openai", log=log, port=free_port())
    for n in range(5):
        chat(http, emulator, f"before {n}")
    emulator.kill()
    assert [record["text"] for record in read(log)] == [f"before {n}" for n in range(5)]
    port = emulator.port
    emulator.start()
    try:
        assert emulator.port == port
        chat(http, emulator, "after")
    finally:
        emulator.stop()
    assert [record["seq"] for record in read(log)] == [1, 2, 3, 4, 5, 6]


def test_a_torn_line_is_left_out_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text('{"event":"call","seq":41,"at_ms":1}\n{"event":"call","se')
    log = CallLog("openai", path)
    log.received({"text": "whole"})
    log.close()
    assert [(record["seq"], record.get("text")) for record in read(path)] == [(41, None), (42, "whole")]


def test_the_outcome_is_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    log = CallLog("openai", path)
    first, second = log.received({}), log.received({})
    log.ended(second, "client_gone", time.perf_counter())
    log.close()
    assert first["seq"] == 1
    assert [record["outcome"] for record in read(path)] == [None, "client_gone"]
    assert len(path.read_bytes().splitlines()) == 3


def test_credentials_are_hashed(openai: Emulator, http: requests.Session) -> None:
    chat(http, openai, headers={"Authorization": "Bearer very-private"})
    [record] = openai.control.calls()
    assert record["auth"] == fingerprint("very-private")
    assert openai.log is not None
    assert "very-private" not in openai.log.read_text()


def test_credentials_in_an_address_are_not_logged(dingtalk: Emulator, http: requests.Session) -> None:
    http.get(f"{dingtalk.url}/gettoken", params={"appkey": "key", "appsecret": "very-private"})
    assert dingtalk.log is not None
    assert "very-private" not in dingtalk.log.read_text()


@pytest.mark.parametrize("stream", [True, False])
def test_a_caller_who_leaves_is_noticed(openai: Emulator, http: requests.Session, stream: bool) -> None:
    openai.control.pace(delay_ms=20_000)
    with pytest.raises(requests.Timeout):
        chat(http, openai, timeout=1, stream=stream)
    [record] = openai.control.wait_for(outcome="client_gone")
    assert record["ms"] < 15_000


def test_a_caller_who_leaves_in_mid_stream_is_noticed(openai: Emulator, http: requests.Session) -> None:
    openai.control.pace(tokens_per_second=5)
    response = chat(http, openai, "one two three " * 100, stream=True, read_later=True)
    assert next(response.iter_content(None))
    response.close()
    assert openai.control.wait_for(outcome="client_gone")


def test_calls_are_listed_from_a_number_on(openai: Emulator, http: requests.Session) -> None:
    for n in range(3):
        chat(http, openai, f"text {n}")
    first = openai.control.calls()[0]["seq"]
    assert [record["text"] for record in openai.control.calls(first)] == ["text 1", "text 2"]
    assert openai.control.wait_for(text="text 2", outcome="sent")
    page = http.get(f"{openai.url}/_control/calls", params={"since": first, "limit": 1}).json()
    assert [record["text"] for record in page] == ["text 1"]


def test_reset_empties_the_memory_and_not_the_file(openai: Emulator, http: requests.Session) -> None:
    chat(http, openai, "remember me")
    openai.control.reset()
    assert openai.control.calls() == []
    assert openai.log is not None
    assert "remember me" in {record.get("text") for record in read(openai.log)}


def test_every_line_is_json(openai: Emulator, http: requests.Session) -> None:
    chat(http, openai, 'quotes " and\nlines and 你好')
    openai.control.wait_for(outcome="sent")
    assert openai.log is not None
    last = [json.loads(line) for line in openai.log.read_bytes().splitlines()][-2:]
    assert [line["event"] for line in last] == ["call", "end"]
    assert last[0]["text"] == 'quotes " and\nlines and 你好'
