"""One emulator of each kind for all tests of this folder, reset for each; logs are files, as in a kill test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from emulators.running import Emulator, running


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calls")


@pytest.fixture(scope="session")
def openai_process(logs: Path) -> Iterator[Emulator]:
    with running("openai", log=logs / "openai.jsonl") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def dify_process(logs: Path) -> Iterator[Emulator]:
    with running("dify", "--ping-every-s", "0.1", log=logs / "dify.jsonl") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def dingtalk_process(logs: Path) -> Iterator[Emulator]:
    with running("dingtalk", log=logs / "dingtalk.jsonl") as emulator:
        yield emulator


def _fresh(emulator: Emulator) -> Emulator:
    emulator.control.reset()
    emulator.control.pace(delay_ms=0, tokens_per_second=0)
    return emulator


@pytest.fixture
def openai(openai_process: Emulator) -> Emulator:
    return _fresh(openai_process)


@pytest.fixture
def dify(dify_process: Emulator) -> Emulator:
    return _fresh(dify_process)


@pytest.fixture
def dingtalk(dingtalk_process: Emulator) -> Emulator:
    return _fresh(dingtalk_process)


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session
