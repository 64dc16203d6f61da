"""One emulator of each kind for all tests of this folder, reset for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulators.running import Emulator, running
from tests.stores.fleet.redis_fixtures import no_redis, redis_url, shared

__all__ = ["no_redis", "redis_url", "shared"]


@pytest.fixture(scope="session")
def openai_process() -> Iterator[Emulator]:
    with running("openai") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def dify_process() -> Iterator[Emulator]:
    with running("dify", "--ping-every-s", "0.2") as emulator:
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
def coze_process() -> Iterator[Emulator]:
    with running("coze") as emulator:
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
def anthropic(anthropic_process: Emulator) -> Emulator:
    return _fresh(anthropic_process)


@pytest.fixture
def gemini(gemini_process: Emulator) -> Emulator:
    return _fresh(gemini_process)


@pytest.fixture
def coze(coze_process: Emulator) -> Emulator:
    return _fresh(coze_process)
