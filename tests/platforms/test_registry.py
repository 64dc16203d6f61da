"""The registry: what is on, and that a process has one object for each bot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import ChatSettings, DingTalkSettings, Settings, WebSettings, WeComSettings
from mindbot_tasks.platforms import registry, standard_webhooks
from mindbot_tasks.platforms.registry import UnknownPlatform

KEY = SecretStr("a secret key of this installation")
SETTINGS = Settings(
    secret_key=KEY,
    dingtalk={"default": DingTalkSettings(client_id="a", client_secret=SecretStr("b"))},
    chat={"crm": ChatSettings(secrets=[SecretStr(standard_webhooks.secret_of(bytes(32)))])},
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "get_settings", lambda: SETTINGS)
    registry.get.cache_clear()
    yield
    registry.get.cache_clear()


def test_lists_what_is_on() -> None:
    assert registry.enabled(SETTINGS) == [("dingtalk", "default"), ("chat", "crm"), ("chat", "playground")]
    assert registry.enabled(SETTINGS.model_copy(update={"production": True, "dingtalk": {}})) == [("chat", "crm")]


def test_everything_that_is_on_can_be_had_and_only_once() -> None:
    for name, bot in registry.enabled(SETTINGS):
        platform = registry.get(name, bot)
        assert (platform.name, platform.bot) == (name, bot)
        assert registry.get(name, bot) is platform


@pytest.mark.parametrize(("name", "bot"), [("pigeon", "default"), ("dingtalk", "other"), ("chat", "default"), ("", "")])
def test_whatever_else_is_unknown(name: str, bot: str) -> None:
    with pytest.raises(UnknownPlatform):
        registry.get(name, bot)


@pytest.mark.parametrize(
    ("playground", "production", "key", "on"),
    [
        (None, False, KEY, True),
        (None, True, KEY, False),
        (False, False, KEY, False),
        (True, True, KEY, True),
        (None, False, SecretStr(""), False),
        (True, False, SecretStr(""), False),
    ],
)
def test_the_playground_is_for_development_and_needs_a_secret_key(
    playground: bool | None, production: bool, key: SecretStr, on: bool
) -> None:
    settings = Settings(web=WebSettings(playground=playground), production=production, secret_key=key)
    assert registry.playground_on(settings) is on
    assert (("chat", "playground") in registry.enabled(settings)) is on


def test_the_playground_signs_with_a_secret_of_this_installation() -> None:
    secret = registry.playground_secret(SETTINGS)
    assert secret == registry.playground_secret(SETTINGS)
    assert secret != registry.playground_secret(Settings(secret_key=SecretStr("another")))
    assert len(standard_webhooks.key_of(secret)) == 32


def test_there_is_no_playground_secret_without_a_secret_key() -> None:
    with pytest.raises(SettingsError):
        registry.playground_secret(Settings(secret_key=SecretStr("")))


def test_a_bot_whose_settings_cannot_be_used_is_unknown_and_named_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    app = WeComSettings.model_validate({"corpid": "c", "secret": "s", "token": "t", "encoding_aes_key": "placeholder"})
    monkeypatch.setattr(registry, "get_settings", lambda: Settings(wecom={"default": app}))
    with capture_logs() as logs, pytest.raises(UnknownPlatform):
        registry.get("wecom")
    assert [line["event"] for line in logs] == ["bot_unusable"]
    assert "placeholder" not in str(logs)


@pytest.mark.parametrize(
    ("values", "is_admin"),
    [
        ({}, True),
        ({"production": True}, False),
        ({"web": {"playground": True}}, False),  # whoever reaches the port
        ({"web": {"playground": True, "playground_admin": True}}, True),
        ({"web": {"playground_admin": False}}, False),
        ({"chat": {"playground": {"secrets": ["whsec_" + "A" * 32], "admins": ["else"]}}}, False),
    ],
)
def test_who_uses_the_playground_is_an_administrator_where_only_this_machine_gets_there(
    values: dict[str, Any], is_admin: bool
) -> None:
    assert registry.is_admin(Settings.model_validate(values), "chat", "playground", "u1") is is_admin


def test_administrators_of_a_bot_are_those_that_it_names() -> None:
    given = Settings.model_validate({"chat": {"desk": {"secrets": ["whsec_" + "A" * 32], "admins": ["u1"]}}})
    assert registry.is_admin(given, "chat", "desk", "u1")
    assert not registry.is_admin(given, "chat", "desk", "u2")
    assert not registry.is_admin(given, "wecom", "desk", "u1")
