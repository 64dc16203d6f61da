"""The gateway emulator, and a ledger that is a list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulators.running import Emulator, running
from mindbot_tasks import intake
from tests.bridges.holding import Ledger, until


@pytest.fixture(scope="session")
def gateway_process() -> Iterator[Emulator]:
    with running("dingtalk", "--app-key", "dingapp0001", "--app-secret", "a-secret") as emulator:
        yield emulator


@pytest.fixture
def gateway(gateway_process: Emulator) -> Emulator:
    gateway_process.control.reset()
    until(lambda: not gateway_process.control.call("GET", "/stream"), "end of the connections of another test")
    return gateway_process


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    it = Ledger()
    monkeypatch.setattr(intake, "receive", it.receive)
    return it
