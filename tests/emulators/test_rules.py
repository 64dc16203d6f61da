"""Which call a fault happens to."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import requests
from pydantic import ValidationError

from emulators.faults import Armed, Faults, parse_rules
from emulators.running import Emulator
from tests.emulators.wire import chat


def struck(calls: int, **rule: object) -> list[bool]:
    armed = Armed(parse_rules({"action": "drop", **rule})[0])
    return [armed.strikes("POST", "/v1/chat", b"some text") for _ in range(calls)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [True, False, False, False]),
        ({"times": 2}, [True, True, False, False]),
        ({"skip": 1}, [False, True, False, False]),
        ({"always": True}, [True, True, True, True]),
        ({"always": True, "times": 3}, [True, True, True, False]),
        ({"probability": 0, "always": True}, [False] * 4),
        ({"probability": 1}, [True] * 4),
        ({"path": "/v1/*"}, [True, False, False, False]),
        ({"path": "/v2/*"}, [False] * 4),
        ({"method": "GET"}, [False] * 4),
        ({"contains": "me te"}, [True, False, False, False]),
        ({"contains": "other"}, [False] * 4),
    ],
)
def test_a_rule_counts(rule: dict[str, object], expected: list[bool]) -> None:
    assert struck(4, **rule) == expected


def test_a_seed_repeats_the_same_calls() -> None:
    once, again, other = (struck(200, probability=0.5, seed=seed) for seed in (7, 7, 8))
    assert once == again
    assert once != other
    assert 60 < sum(once) < 140


def test_a_rule_can_heal_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr("emulators.faults.time", SimpleNamespace(monotonic=lambda: now))
    armed = Armed(parse_rules({"action": "drop", "for_s": 0.5})[0])
    assert armed.strikes("POST", "/", b"")
    assert armed.strikes("POST", "/", b"")
    now += 0.51
    assert not armed.strikes("POST", "/", b"")


def test_the_first_rule_that_matches_decides() -> None:
    faults = Faults(parse_rules([{"action": "drop"}, {"action": "html", "always": True}]))
    strikes = [faults.strike("POST", "/", b"") for _ in range(3)]
    assert [rule.action for rule in strikes if rule is not None] == ["drop", "html", "html"]


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "explode"},
        {"action": "drop", "statsu": 500},
        {"action": "status", "status": 99},
        {"action": "drip", "bytes_per_s": 0},
        {"action": "drop", "probability": 2},
        {},
        7,
    ],
)
def test_a_wrong_rule_is_refused(rule: object) -> None:
    with pytest.raises(ValidationError):
        parse_rules(rule)


def test_the_control_api_says_what_is_wrong(openai: Emulator) -> None:
    with pytest.raises(requests.HTTPError, match=r"400 for /faults: .*statsu"):
        openai.control.fault("status", statsu=500)
    with pytest.raises(requests.HTTPError, match="delay_ms must be a number"):
        openai.control.call("POST", "/pace", {"delay_ms": "slow"})
    with pytest.raises(requests.HTTPError, match="known: delay_ms, tokens_per_second"):
        openai.control.call("POST", "/pace", {"speed": 1})
    with pytest.raises(requests.HTTPError, match="whole numbers"):
        openai.control.call("GET", "/calls?since=yesterday")
    with pytest.raises(requests.HTTPError, match="must be a JSON object"):
        openai.control.call("POST", "/pace", [1])


def test_rules_are_listed_with_their_hits_and_cleared(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("status", "/v1/chat/*", status=503, skip=1, always=True)
    assert [chat(http, openai).status_code for _ in range(3)] == [200, 503, 503]
    [rule] = openai.control.faults()
    assert (rule["action"], rule["seen"], rule["hits"]) == ("status", 3, 2)
    openai.control.clear_faults()
    assert openai.control.faults() == []
    assert chat(http, openai).status_code == 200


def test_a_rule_for_one_text_leaves_the_others_alone(openai: Emulator, http: requests.Session) -> None:
    openai.control.fault("status", status=500, contains="unlucky", always=True)
    assert [chat(http, openai, text).status_code for text in ("lucky one", "unlucky one")] == [200, 500]
