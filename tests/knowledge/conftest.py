"""A knowledge base on each database, and one Chroma server for the whole session."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from mindbot_tasks.core.settings import ChromaSettings, Settings, reset_settings
from mindbot_tasks.knowledge import chroma as client
from mindbot_tasks.knowledge import lexical, retrieval
from mindbot_tasks.knowledge.ingesting import work_off
from mindbot_tasks.stores import knowledge, knowledge_version
from mindbot_tasks.stores import redis as redis_store
from mindbot_tasks.stores.database import forget_engine, transaction
from tests.conftest import free_port

Configure = Callable[..., Settings]


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server like that of `mindbot chroma`."""
    ends_at = time.monotonic() + 110
    while True:
        port = free_port()
        process = _start_chroma(tmp_path_factory.mktemp("chroma"), port)
        try:
            url = f"http://127.0.0.1:{port}"
            if not _answers(url, process, ends_at):
                continue  # while it started, somebody else has taken the port
            yield url
            return
        finally:
            process.kill()
            process.wait(10)


def _start_chroma(folder: Path, port: int) -> subprocess.Popen[bytes]:
    script = "import sys; from chromadb.cli.cli import app; sys.argv[0] = 'chroma'; sys.exit(app())"
    return subprocess.Popen(
        [sys.executable, "-c", script, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, "ANONYMIZED_TELEMETRY": "False"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _answers(url: str, process: subprocess.Popen[bytes], ends_at: float) -> bool:
    """Whether it is up; False: it has ended."""
    while process.poll() is None:
        assert time.monotonic() < ends_at, "there is no Chroma"
        try:
            httpx.get(f"{url}/api/v2/heartbeat", timeout=10, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return True
    assert time.monotonic() < ends_at, "Chroma ends at once"
    return False


@pytest.fixture(autouse=True)
def _a_slow_machine_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """People are answered by less when it takes too long; tests of that say how long themselves."""
    monkeypatch.setattr(lexical, "_FIRST_S", 100.0)
    for limit in ("_LATE_S", "_LONGEST_WAIT_S", "_SLOW_S"):
        monkeypatch.setattr(retrieval, limit, 1000.0)


def forget() -> None:
    """Nothing of another test is known."""
    reset_settings()
    forget_engine(close=True)
    redis_store.get_redis.cache_clear()
    retrieval.forget()
    client._open = None
    knowledge_version.follow(0)


@pytest.fixture
def base() -> str:
    """A name of this test's own."""
    return f"kb-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def configure(
    database_url: str, redis_url: str, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Configure]:
    """Make these the settings of this process; `chromadb=None` for words alone."""

    def make(**changes: Any) -> Settings:
        reset_settings()
        values: dict[str, Any] = {
            "home": tmp_path, "database_url": SecretStr(database_url),
            "redis_url": SecretStr(f"{redis_url}?socket_timeout=30&socket_connect_timeout=30"),
        }  # fmt: skip
        settings = Settings(**(values | changes))
        monkeypatch.setattr("mindbot_tasks.core.settings.load.load", lambda *_, **__: settings)
        return settings

    forget()
    yield make
    forget()


@pytest.fixture
def settings(configure: Configure, chroma_url: str, base: str) -> Settings:
    """With vectors by the offline model."""
    return configure(chromadb=ChromaSettings(url=chroma_url, collection_name=base, timeout=60))


def read(settings: Settings, base: str, source: str, text: str) -> int:
    """Add a document and read it to the end, as a worker does."""
    with transaction() as connection:
        number, _ = knowledge.add(connection, base, source, "file", source, text.encode())
    work_off(settings, seconds=60)
    retrieval.forget()
    return number
