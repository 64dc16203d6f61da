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
from mindbot_tasks.knowledge import retrieval
from mindbot_tasks.knowledge.ingesting import work_off
from mindbot_tasks.stores import knowledge, knowledge_version
from mindbot_tasks.stores import redis as redis_store
from mindbot_tasks.stores.database import forget_engine, transaction
from tests.conftest import free_port

Configure = Callable[..., Settings]


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server like that of `mindbot chroma`."""
    port = free_port()
    script = "import sys; from chromadb.cli.cli import app; sys.argv[0] = 'chroma'; sys.exit(app())"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "run", "--path", str(tmp_path_factory.mktemp("chroma")), "--host", "127.0.0.1",
         "--port", str(port)],
        env={**os.environ, "ANONYMIZED_TELEMETRY": "False"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        ends_at = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/api/v2/heartbeat", timeout=2, trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None
                assert time.monotonic() < ends_at
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait(10)


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
            "home": tmp_path, "database_url": SecretStr(database_url), "redis_url": SecretStr(redis_url),
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
    return configure(chromadb=ChromaSettings(url=chroma_url, collection_name=base, timeout=20))


def read(settings: Settings, base: str, source: str, text: str) -> int:
    """Add a document and read it to the end, as a worker does."""
    with transaction() as connection:
        number, _ = knowledge.add(connection, base, source, "file", source, text.encode())
    work_off(settings, seconds=60)
    retrieval.forget()
    return number
