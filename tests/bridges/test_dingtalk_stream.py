"""DingTalk Stream against the gateway emulator: what is acknowledged is safe, and no silence lasts."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from emulators.running import Emulator
from mindbot_tasks.bridges import dingtalk_intake, dingtalk_link
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.metrics import REGISTRY
from tests.bridges.holding import QUICK, Held, Ledger, until


def acks(gateway: Emulator, count: int, **which: Any) -> list[dict[str, Any]]:
    return gateway.control.wait_for(count, event="ack", **which)


def say(gateway: Emulator, text: str = "hello", **fields: Any) -> dict[str, Any]:
    sent: dict[str, Any] = gateway.control.call("POST", "/stream/send", {"text": text, **fields})
    return sent


def connections(gateway: Emulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = gateway.control.call("GET", "/stream")
    return found


def act(gateway: Emulator, what: str, **options: Any) -> str:
    return str(gateway.control.call("POST", "/stream/act", {"what": what, **options})["connection"])


def let_go() -> float:
    labels = {"platform": "dingtalk", "kind": "message", "outcome": "let_go"}
    return REGISTRY.get_sample_value("mindbot_bridge_frames_total", labels) or 0.0


def test_a_message_is_recorded_and_then_acknowledged(gateway: Emulator, ledger: Ledger) -> None:
    with Held(gateway) as held:
        held.online()
        sent = say(gateway, "what is 6*7?")
        (ack,) = acks(gateway, 1)
    assert ack["accepted"] is True, ack
    assert (ack["msg_id"], ack["code"], ack["problems"]) == (sent["msg_id"], 200, [])
    assert json.loads(ack["data"]) == {"response": None}
    (message,) = ledger.messages
    assert (message.external_id, message.text, message.bot) == (sent["msg_id"], "what is 6*7?", "default")
    assert message.address["session_webhook"]


def test_both_connections_are_used(gateway: Emulator, ledger: Ledger) -> None:
    with Held(gateway) as held:
        held.online()
        used = {say(gateway, f"number {n}")["connection"] for n in range(6)}
        acks(gateway, 6)
    assert len(used) == 2
    assert sorted(ledger.texts) == [f"number {n}" for n in range(6)]


def test_nothing_overtakes_on_a_connection(gateway: Emulator, ledger: Ledger) -> None:
    with Held(gateway, connections=1) as held:
        held.online("1 of 1 connections")
        for n in range(20):
            say(gateway, f"number {n}")
        acks(gateway, 20)
    assert ledger.texts == [f"number {n}" for n in range(20)]


def test_nothing_is_acknowledged_while_the_database_is_away_and_all_of_it_afterwards(
    gateway: Emulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dingtalk_intake, "RETRY_S", 0.2)
    ledger.away = True
    with Held(gateway) as held:
        held.online()
        say(gateway, "one")
        until(lambda: ledger.calls > 1, "second try")
        assert gateway.control.calls(event="ack") == []
        say(gateway, "two")
        ledger.away = False
        assert all(ack["accepted"] for ack in acks(gateway, 2))
    assert sorted(ledger.texts) == ["one", "two"]


def test_what_waited_too_long_is_let_go_and_comes_again(
    gateway: Emulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dingtalk_intake, "RETRY_S", 0.1)
    monkeypatch.setattr(dingtalk_intake, "HOLD_S", 0)
    gateway.control.call("POST", "/stream/times", {"redeliver_s": 0.4, "redeliveries": 1000})
    before = let_go()
    ledger.away = True
    with Held(gateway) as held:
        held.online()
        sent = say(gateway)
        until(lambda: let_go() > before, "message that was let go")
        assert gateway.control.calls(event="ack") == []
        ledger.away = False
        ack = acks(gateway, 1)[0]
    assert ack["msg_id"] == sent["msg_id"]
    assert [frame["delivery"] for frame in gateway.control.calls(event="frame")][:2] == [1, 2]
    assert {message.external_id for message in ledger.messages} == {sent["msg_id"]}


def test_one_message_that_cannot_be_stored_does_not_take_others_along(gateway: Emulator, ledger: Ledger) -> None:
    ledger.trouble = [ValueError("nobody foresaw this")]
    with Held(gateway) as held, capture_logs() as logs:
        held.online()
        first = say(gateway, "poison")
        until(lambda: ledger.calls, "try")
        second = say(gateway, "good")
        (ack,) = acks(gateway, 1)
    assert ack["msg_id"] == second["msg_id"] != first["msg_id"]
    assert ledger.texts == ["good"]
    assert [entry for entry in logs if entry["event"] == "stream_message_not_recorded"]


def test_frames_that_are_no_messages_are_answered_as_the_platform_wants(gateway: Emulator, ledger: Ledger) -> None:
    gateway.control.call("POST", "/stream/times", {"ping_s": 0.2})
    with Held(gateway, connections=1) as held:  # of two the answers may come in another order
        held.online("1 of 1 connections")
        gateway.control.call("POST", "/stream/raw", {"text": "not { json"})
        gateway.control.call("POST", "/stream/raw", {"text": '{"type": "SYSTEM", "headers": {"topic": "KEEPALIVE"}}'})
        gateway.control.call("POST", "/stream/event", {"type": "user_add_org"})
        say(gateway, kind="no_text")
        say(gateway, kind="not_json")
        event, empty, unreadable = acks(gateway, 3)
        until(lambda: all(each["pings"]["answered"] for each in connections(gateway)), "answer to a ping")
    assert (event["code"], json.loads(event["data"])["status"]) == (200, "SUCCESS")
    assert empty["code"] == 200
    assert unreadable["code"] == 400
    assert ledger.messages == []


def test_told_to_leave_it_connects_anew_before_the_old_connection_ends(gateway: Emulator, ledger: Ledger) -> None:
    with Held(gateway) as held:
        held.online()
        old = act(gateway, "disconnect", close_after_s=3600)
        until(lambda: len(connections(gateway)) == 3, "third connection beside the one that leaves")
        say(gateway, "meanwhile")
        acks(gateway, 1)
        act(gateway, "abort", connection=old)
        until(lambda: old not in {each["connection"] for each in connections(gateway)}, "end of the old one")
        assert len(connections(gateway)) == 2
    assert ledger.texts == ["meanwhile"]


def test_a_connection_that_dies_is_replaced_and_the_other_hears_meanwhile(gateway: Emulator, ledger: Ledger) -> None:
    gateway.control.call("POST", "/stream/times", {"redeliver_s": 0.5})
    with Held(gateway) as held:
        held.online()
        dead = act(gateway, "abort")
        for n in range(5):
            say(gateway, f"number {n}")
        acks(gateway, 5)
        held.online()
        assert dead not in {each["connection"] for each in connections(gateway)}
    # one for which the far side has waited for half a second comes twice
    assert sorted(set(ledger.texts)) == [f"number {n}" for n in range(5)]


def test_a_half_open_connection_is_noticed_by_its_missing_pong(gateway: Emulator, ledger: Ledger) -> None:
    with Held(gateway, replace(QUICK, ping_s=0.3, pong_s=0.5)) as held:
        held.online()
        deaf = act(gateway, "half_open")
        until(lambda: deaf not in {each["connection"] for each in connections(gateway)}, "end of the deaf one")
        held.online()


def test_a_zombie_is_noticed_by_its_silence(gateway: Emulator, ledger: Ledger) -> None:
    gateway.control.call("POST", "/stream/times", {"ping_s": 0.2, "redeliver_s": 1, "redeliveries": 1000})
    with Held(gateway, replace(QUICK, idle_s=0.8, drain_s=0.1)) as held:
        held.online()
        undead = act(gateway, "zombie")
        for text in ("one", "two"):
            say(gateway, text)
        until(lambda: undead not in {each["connection"] for each in connections(gateway)}, "end of the zombie")
        until(lambda: set(ledger.texts) == {"one", "two"}, "both messages")


def test_a_host_that_slept_renews_its_connections(
    gateway: Emulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        ahead_s = 0.0
        monotonic = staticmethod(time.monotonic)

        def time(self) -> float:
            return time.time() + self.ahead_s

    clock = Clock()
    monkeypatch.setattr(dingtalk_link, "time", clock)
    with Held(gateway, replace(QUICK, drain_s=0.1)) as held:
        held.online()
        before = {each["connection"] for each in connections(gateway)}
        clock.ahead_s = 3600
        until(lambda: before.isdisjoint(each["connection"] for each in connections(gateway)), "fresh connections")


def test_wrong_credentials_are_reported_and_not_hammered(gateway: Emulator, ledger: Ledger) -> None:
    with Held(gateway, replace(QUICK, most_wait_s=3600), client_secret="wrong") as held, capture_logs() as logs:
        gateway.control.wait_for(2, path=dingtalk_link.OPEN_PATH)
        until(lambda: held.said.now[0] == "refused", "refusal")
        time.sleep(0.5)
        assert len(gateway.control.calls(path=dingtalk_link.OPEN_PATH)) == 2, "one for each connection"
        held.stop()  # which waits for nothing, or it would take the better part of an hour
    assert "client_id" in held.said.now[1]
    refused = [entry for entry in logs if entry["event"] == "stream_refused"]
    assert refused[0]["log_level"] == "error"
    assert "wrong" not in str(logs)


def test_while_the_gateway_is_away_it_backs_off_and_comes_back(gateway: Emulator, ledger: Ledger) -> None:
    gateway.control.fault("status", dingtalk_link.OPEN_PATH, status=503, times=6)
    with Held(gateway) as held:
        held.online()
    assert "backing_off" in {state for state, _ in held.said.states}
    assert len(gateway.control.calls(path=dingtalk_link.OPEN_PATH, status=503)) == 6


def test_a_stop_acknowledges_what_is_being_committed(
    gateway: Emulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dingtalk_intake, "RETRY_S", 0.3)
    ledger.trouble = [DatabaseUnavailable("away")]
    with Held(gateway) as held:
        held.online()
        say(gateway)
        until(lambda: ledger.calls, "try")
        held.stop()
    assert len(ledger.messages) == 1
    assert acks(gateway, 1)[0]["accepted"]
    until(lambda: not connections(gateway), "closed connections")


def test_a_burst_is_recorded_in_few_batches(gateway: Emulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from mindbot_tasks import intake

    all_there = threading.Event()

    def slow(messages: Any) -> list[int]:
        assert all_there.wait(60)
        return ledger.receive(messages)

    monkeypatch.setattr(intake, "receive", slow)
    with Held(gateway) as held:
        held.online()
        for n in range(30):
            say(gateway, f"number {n}")
        until(lambda: held.intake._unfinished == 30, "thirty messages")
        all_there.set()
        acks(gateway, 30)
    assert ledger.calls == 2, "the first, and all that came meanwhile"
    assert len(ledger.messages) == 30
