"""A web side on a real Redis and a real SQLite ledger; each test gets a fresh ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask.testing
import pytest
from pydantic import SecretStr

from mindbot_tasks import chains, intake, readiness
from mindbot_tasks.core.settings import ChatSettings, DingTalkSettings, Settings, WebSettings, reset_settings
from mindbot_tasks.exporting import page
from mindbot_tasks.platforms import registry
from mindbot_tasks.stores import inbox
from mindbot_tasks.stores import redis as redis_store
from mindbot_tasks.stores.database import answer_within, forget_engine
from mindbot_tasks.stores.migrate import upgrade
from webhooks.app import create_app

CHAT_SECRET = "whsec_bWluZGJvdC13ZWJob29rLXNlY3JldC0wMTIzNDU2Nzg5"
API_KEY = "an-api-key-for-tests"


Configure = Callable[..., Settings]


@pytest.fixture
def configure(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Make these the settings of this process, and start with an empty ledger."""

    def forget() -> None:
        reset_settings()
        redis_store.get_redis.cache_clear()
        registry.get.cache_clear()
        forget_engine()
        inbox.forget_known()
        intake._database.worked()
        answer_within(None)
        readiness.state.forget()
        page.forget()

    def make(web: dict[str, Any] | None = None, **changes: Any) -> Settings:
        forget()
        values: dict[str, Any] = {
            "home": tmp_path,
            "redis_url": SecretStr(redis_url),
            "database_url": SecretStr(f"sqlite:///{tmp_path}/mindbot.db"),
            "secret_key": SecretStr("a-secret-key-for-tests"),
            "web": WebSettings(**({"api_keys": [API_KEY], "api_calls_per_minute": 100_000} | (web or {}))),
            "chat": {"default": ChatSettings(secrets=[SecretStr(CHAT_SECRET)])},
            "dingtalk": {"default": DingTalkSettings(client_id="ding-id", client_secret=SecretStr("ding-secret"))},
        }
        settings = Settings(**(values | changes))
        monkeypatch.setattr("mindbot_tasks.core.settings.load.load", lambda *_, **__: settings)
        if str(tmp_path) in settings.database_url.get_secret_value():
            upgrade()
        return settings

    yield make
    forget()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The messages whose chain was started; no worker is there to take them."""
    ids: list[int] = []
    monkeypatch.setattr(chains, "start", lambda message_id, *_, **__: bool(ids.append(message_id)) or True)
    return ids


@pytest.fixture
def app(configure: Configure, started: list[int]) -> flask.Flask:
    app = create_app(configure())
    app.testing = False  # errors become responses, as in production
    return app


@pytest.fixture
def client(app: flask.Flask) -> flask.testing.FlaskClient:
    return app.test_client()
