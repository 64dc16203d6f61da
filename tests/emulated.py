"""Fixtures: one emulator of each model vendor for all tests of a folder, reset for each; logs are files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.running import Emulator, running

__all__ = [
    "anthropic", "anthropic_process", "coze", "coze_process", "dify", "dify_process", "gemini", "gemini_process",
    "logs", "ollama", "ollama_process", "openai", "openai_process",
]  # fmt: skip


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
def anthropic_process() -> Iterator[Emulator]:
    with running("anthropic") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def gemini_process() -> Iterator[Emulator]:
    with running("gemini") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def ollama_process() -> Iterator[Emulator]:
    with running("ollama", "--thinks") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def coze_process() -> Iterator[Emulator]:
    with running("coze") as emulator:
        yield emulator


def fresh(emulator: Emulator) -> Emulator:
    emulator.control.reset()
    emulator.control.pace(delay_ms=0, tokens_per_second=0)
    return emulator


@pytest.fixture
def openai(openai_process: Emulator) -> Emulator:
    return fresh(openai_process)


@pytest.fixture
def dify(dify_process: Emulator) -> Emulator:
    return fresh(dify_process)


@pytest.fixture
def anthropic(anthropic_process: Emulator) -> Emulator:
    return fresh(anthropic_process)


@pytest.fixture
def gemini(gemini_process: Emulator) -> Emulator:
    return fresh(gemini_process)


@pytest.fixture
def ollama(ollama_process: Emulator) -> Emulator:
    return fresh(ollama_process)


@pytest.fixture
def coze(coze_process: Emulator) -> Emulator:
    return fresh(coze_process)
