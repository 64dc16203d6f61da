"""The emulators that most tests of this folder talk to, and a client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from emulators.running import Emulator, running
from tests.emulated import dify, dify_process, fresh, logs, openai, openai_process

__all__ = ["dify", "dify_process", "logs", "openai", "openai_process"]


@pytest.fixture(scope="session")
def dingtalk_process(logs: Path) -> Iterator[Emulator]:
    with running("dingtalk", log=logs / "dingtalk.jsonl") as emulator:
        yield emulator


@pytest.fixture
def dingtalk(dingtalk_process: Emulator) -> Emulator:
    return fresh(dingtalk_process)


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session
