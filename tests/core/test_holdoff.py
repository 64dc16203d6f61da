"""After a failure one caller at a time looks whether it works again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from mindbot_tasks.core.holdoff import Holdoff


def test_while_it_works_everybody_may_go_on() -> None:
    holdoff = Holdoff(pause_s=60)
    holdoff.worked()
    assert [holdoff.allows() for _ in range(3)] == [True] * 3


def test_after_a_failure_nobody_tries_for_a_while() -> None:
    holdoff = Holdoff(pause_s=60)
    holdoff.failed()
    assert [holdoff.allows() for _ in range(3)] == [False] * 3


def test_after_the_pause_one_of_many_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    holdoff = Holdoff(pause_s=60)
    holdoff.failed()
    assert not holdoff.allows()
    later = time.monotonic() + 61
    monkeypatch.setattr("mindbot_tasks.core.holdoff.time", SimpleNamespace(monotonic=lambda: later))
    with ThreadPoolExecutor(8) as crowd:
        allowed = [future.result() for future in [crowd.submit(holdoff.allows) for _ in range(40)]]
    assert allowed.count(True) == 1


def test_a_success_lets_everybody_in_again() -> None:
    holdoff = Holdoff(pause_s=60)
    holdoff.failed()
    holdoff.worked()
    assert holdoff.allows()
