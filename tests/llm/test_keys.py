"""Several API keys of one provider: turns, bad ones that rest in the whole fleet, and what is told of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import building
from mindbot_tasks.llm.keys import BAD_S, Ring, SeveralKeys
from mindbot_tasks.stores import keys_aside as store
from mindbot_tasks.stores.keys_aside import KeysAside, fingerprint
from tests.llm.asking import nobody, question

A, B, C = "sk-aaaaaaaaaaaaaaaa0001", "sk-bbbbbbbbbbbbbbbb0002", "sk-cccccccccccccccc0003"
NAME = "provider:openai"


@pytest.fixture(autouse=True)
def a_process(shared: Any, monkeypatch: pytest.MonkeyPatch) -> KeysAside:
    """This process knows of no key yet."""
    return another_process(monkeypatch)


def another_process(monkeypatch: pytest.MonkeyPatch) -> KeysAside:
    aside = KeysAside()
    monkeypatch.setattr("mindbot_tasks.llm.keys.keys_aside", aside)
    return aside


def provider(far: Emulator, *keys: str) -> SeveralKeys:
    openai = {"api_keys": list(keys), "base_url": f"{far.url}/v1", "models": ["m"]}
    way = building.provider_way(Settings.model_validate({"providers": {"openai": openai}}), "openai")
    assert way is not None
    assert isinstance(way.answerer, SeveralKeys)
    return way.answerer


def ask(answerer: SeveralKeys) -> str:
    return answerer.answer(question(), Deadline(30), nobody).answer.text


def used(far: Emulator) -> list[str]:
    """The fingerprints of the keys, in the order of the calls."""
    return [call["auth"] for call in far.control.calls()]


def test_keys_are_used_in_turn(openai: Emulator) -> None:
    answerer = provider(openai, A, B, C)
    for _ in range(6):
        ask(answerer)
    calls = used(openai)
    assert len(set(calls[:3])) == 3
    assert calls[:3] == calls[3:]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(401, "invalid_api_key", "auth"), (403, None, "auth"), (402, None, "quota"), (429, "insufficient_quota", "quota")],
)
def test_a_bad_key_costs_nobody_an_answer_and_rests(openai: Emulator, status: int, code: str | None, kind: str) -> None:
    answerer = provider(openai, A, B)
    bad = next(iter(answerer.ring.usable()))  # which is the other one the next time
    openai.control.fault("status", status=status, body={"error": {"code": code}})
    with capture_logs() as logs:
        assert ask(answerer)
    assert len(used(openai)) == 2
    [told] = [entry for entry in logs if entry["event"] == "api_key_set_aside"]
    assert (told["log_level"], told["kind"], told["for_s"]) == ("warning", kind, BAD_S)
    assert told["key"] == answerer.ring.called(1 - bad)
    assert not any(key in str(logs) for key in (A, B))
    for _ in range(3):
        ask(answerer)
    assert len(used(openai)) == 5
    assert len(set(used(openai)[1:])) == 1


def test_the_others_share_the_work_of_a_resting_key_evenly(openai: Emulator) -> None:
    answerer = provider(openai, A, B, C)
    assert answerer.ring.failed(1, Rejected("no", kind="auth"))
    for _ in range(6):
        ask(answerer)
    assert sorted(Counter(used(openai)).values()) == [3, 3]


def test_other_processes_hear_of_it_without_a_call(openai: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    answerer = provider(openai, A, B)
    openai.control.fault("status", status=401, body={"error": {"code": "invalid_api_key"}})
    ask(answerer)
    another_process(monkeypatch)
    other = provider(openai, A, B)
    before = len(used(openai))
    for _ in range(4):
        ask(other)
    assert len(used(openai)) == before + 4


def test_when_all_are_bad_the_provider_refuses_without_a_call(openai: Emulator) -> None:
    answerer = provider(openai, A, B)
    openai.control.fault("status", status=401, body={"error": {"code": "invalid_api_key"}}, always=True)
    with pytest.raises(Rejected) as caught:
        ask(answerer)
    assert (caught.value.kind, caught.value.code, caught.value.provider) == ("auth", "all_keys_refused", NAME)
    with pytest.raises(Rejected):
        ask(answerer)
    assert len(used(openai)) == 2


def test_without_money_on_any_key_the_quota_is_gone(openai: Emulator) -> None:
    answerer = provider(openai, A, B)
    openai.control.fault("status", status=429, body={"error": {"code": "insufficient_quota"}}, always=True)
    with pytest.raises(Rejected) as caught:
        ask(answerer)
    assert caught.value.kind == "quota"


def test_a_key_that_has_to_wait_rests_and_the_others_go_on(openai: Emulator) -> None:
    answerer = provider(openai, A, B)
    openai.control.fault("throttle", retry_after=300)
    ask(answerer)
    for _ in range(3):
        ask(answerer)
    assert len(used(openai)) == 5
    rests = [left for _, reason, left in answerer.ring.states() if reason == "rate_limit"]
    assert len(rests) == 1
    assert 200 < rests[0] <= 300


def test_when_all_have_to_wait_the_shortest_wait_is_told(openai: Emulator) -> None:
    answerer = provider(openai, A, B)
    openai.control.fault("throttle", retry_after=600)
    openai.control.fault("throttle", retry_after=200)
    with pytest.raises(Throttled) as caught:
        ask(answerer)
    assert caught.value.retry_after_s is not None
    assert 100 < caught.value.retry_after_s <= 200
    with pytest.raises(Throttled):
        ask(answerer)
    assert len(used(openai)) == 2


def test_what_is_not_the_keys_fault_is_not_tried_with_another(openai: Emulator) -> None:
    answerer = provider(openai, A, B)
    for status, error in ((500, Unavailable), (400, Rejected), (404, Rejected)):
        openai.control.fault("status", status=status, body={"error": {"message": "no"}})
        with pytest.raises(error):
            ask(answerer)
    assert len(used(openai)) == 3


def test_a_key_is_tried_again_after_its_rest(openai: Emulator, a_process: KeysAside) -> None:
    answerer = provider(openai, A, B)
    for key in (A, B):
        a_process.put(NAME, fingerprint(key), "auth", 0.05)
    deadline = Deadline(10)
    while True:
        try:
            assert ask(answerer)
            return
        except Rejected:
            deadline.check()


def test_an_answer_costs_no_round_trip(openai: Emulator, shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.READ_EVERY_S >= 5
    monkeypatch.setattr(store, "READ_EVERY_S", 3600.0)  # however long the next lines take
    answerer = provider(openai, A, B)
    ask(answerer)
    before = shared.info("commandstats")
    for _ in range(5):
        ask(answerer)
    after = shared.info("commandstats")
    assert {name: stats["calls"] for name, stats in before.items() if "info" not in name} == {
        name: stats["calls"] for name, stats in after.items() if "info" not in name
    }


def test_without_redis_each_process_knows_its_own(openai: Emulator, no_redis: None) -> None:
    answerer = provider(openai, A, B)
    openai.control.fault("status", status=401, body={"error": {"code": "invalid_api_key"}})
    for _ in range(3):
        ask(answerer)
    assert len(used(openai)) == 4


def test_no_key_is_in_redis(openai: Emulator, shared: Any) -> None:
    answerer = provider(openai, A, B)
    openai.control.fault("status", status=401, body={"error": {"code": "invalid_api_key"}})
    ask(answerer)
    [kept] = shared.keys("mindbot:key-aside:*")
    assert not any(secret[3:] in kept + shared.get(kept) for secret in (A, B))
    assert shared.pttl(kept) > 0


def test_a_single_key_is_left_to_the_breaker() -> None:
    ring = Ring(NAME, [SecretStr(A)])
    assert not ring.failed(0, Rejected("no", kind="auth"))
    assert list(ring.usable()) == [0]
    assert store.keys_aside.resting(NAME, [fingerprint(A)]) == {}


@pytest.mark.parametrize(("key", "called"), [(A, "#1 (...0001)"), ("short", "#1"), ("", "#1")])
def test_a_key_is_told_by_its_place_and_its_end(key: str, called: str) -> None:
    assert Ring(NAME, [SecretStr(key)]).called(0) == called


def test_resting_keys_can_be_called_back(shared: Any, a_process: KeysAside) -> None:
    a_process.put(NAME, "one", "auth", 60)
    assert a_process.resting(NAME, ["one"])
    a_process.forget(NAME, ["one"])
    assert not a_process.resting(NAME, ["one"])
    assert not KeysAside().resting(NAME, ["one"])
