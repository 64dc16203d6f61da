"""An access token is fetched once for everybody, and early enough."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.stores import tokens as kept_tokens
from mindbot_tasks.stores.tokens import Tokens


class Vendor:
    """Gives token-1, token-2 ... and counts."""

    def __init__(self, lifetime_s: float = 7200, *, slow_s: float = 0.0, error: Exception | None = None) -> None:
        self.calls = 0
        self.lifetime_s = lifetime_s
        self.slow_s = slow_s
        self.error = error

    def __call__(self) -> tuple[str, float]:
        self.calls += 1
        number = self.calls
        time.sleep(self.slow_s)
        if self.error is not None:
            raise self.error
        return f"token-{number}", self.lifetime_s


def together(count: int, call: Callable[[int], Any]) -> list[Any]:
    results: list[Any] = []

    def one(number: int) -> None:
        try:
            results.append(call(number))
        except Rejected as exc:
            results.append(exc)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_twenty_at_once_fetch_once(shared: Any) -> None:
    vendor = Vendor(slow_s=0.2)
    processes = [Tokens(shared) for _ in range(4)]
    assert set(together(20, lambda number: processes[number % 4].get("dingtalk", vendor))) == {"token-1"}
    assert vendor.calls == 1


class Ahead:
    """The module `time` of a process whose clock is so far ahead."""

    def __init__(self, by_s: float) -> None:
        self.by_s = by_s

    def time(self) -> float:
        return time.time() + self.by_s

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def test_it_is_replaced_before_it_ends(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor, tokens = Vendor(lifetime_s=7200), Tokens(shared)
    assert tokens.get("t", vendor) == "token-1"
    monkeypatch.setattr(kept_tokens, "time", Ahead(6800))
    assert tokens.get("t", vendor) == "token-1"
    monkeypatch.setattr(kept_tokens, "time", Ahead(6950))  # five minutes before its end
    assert tokens.get("t", vendor) == "token-2"


def test_an_old_one_serves_while_the_vendor_is_down(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor, tokens = Vendor(lifetime_s=7200), Tokens(shared)
    tokens.get("t", vendor)
    monkeypatch.setattr(kept_tokens, "time", Ahead(6950))
    vendor.error = Unavailable("down")
    assert tokens.get("t", vendor) == "token-1"


def test_only_the_token_that_was_refused_is_dropped(shared: Any) -> None:
    vendor, tokens = Vendor(), Tokens(shared)
    assert tokens.get("t", vendor) == "token-1"
    tokens.drop("t", "token-1")
    assert tokens.get("t", vendor) == "token-2"
    tokens.drop("t", "token-1")  # somebody late
    assert tokens.get("t", vendor) == "token-2"
    assert vendor.calls == 2


def test_twenty_that_were_refused_at_once_fetch_once(shared: Any) -> None:
    vendor, tokens = Vendor(slow_s=0.05), Tokens(shared)
    tokens.get("t", vendor)

    def refused(_: int) -> str:
        tokens.drop("t", "token-1")
        return tokens.get("t", vendor)

    assert set(together(20, refused)) == {"token-2"}


def test_wrong_credentials_do_not_loop(shared: Any) -> None:
    vendor, tokens = Vendor(slow_s=0.05, error=Rejected("no", kind="auth", code="40001")), Tokens(shared)
    results = together(20, lambda _: tokens.get("t", vendor))
    assert [type(result) for result in results] == [Rejected] * 20
    assert {result.code for result in results} == {"40001"}
    assert vendor.calls <= 2


def test_a_vendor_that_is_down_is_asked_again(shared: Any) -> None:
    vendor, tokens = Vendor(error=Unavailable("down")), Tokens(shared)
    for _ in range(2):
        with pytest.raises(Unavailable):
            tokens.get("t", vendor)
    vendor.error = None
    assert tokens.get("t", vendor) == "token-3"


def test_a_refresher_that_was_killed_is_waited_for_only_a_while(shared: Any) -> None:
    shared.set("mindbot:token-lock:t", "somebody dead", px=300)
    assert Tokens(shared).get("t", Vendor()) == "token-1"


def test_without_redis_each_process_keeps_its_own(no_redis: None) -> None:
    vendor, tokens = Vendor(slow_s=0.05), Tokens()
    assert set(together(20, lambda _: tokens.get("t", vendor))) == {"token-1"}
    tokens.drop("t", "token-1")
    assert tokens.get("t", vendor) == "token-2"
    assert vendor.calls == 2


def test_the_state_of_tokens_can_be_seen(shared: Any) -> None:
    tokens = Tokens(shared)
    tokens.get("good", Vendor())
    with pytest.raises(Rejected):
        tokens.get("refused", Vendor(error=Rejected("no", kind="auth", code="40001")))
    found = tokens.states(["good", "refused", "unused"]) or {}
    assert {name: state.kind for name, state in found.items()} == {
        "good": "good", "refused": "refused", "unused": "none",
    }  # fmt: skip
    assert (found["good"].left_s or 0) > 0
    Tokens(shared).get("refused", Vendor())
    assert (tokens.states(["refused"]) or {})["refused"].kind == "good"


def test_without_redis_the_state_of_tokens_is_unknown(no_redis: None) -> None:
    assert Tokens().states(["t"]) is None
