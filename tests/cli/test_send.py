"""`mindbot send` and `mindbot register`: what they refuse, and what they say."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from mindbot_tasks import intake
from mindbot_tasks.cli import main
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.platforms import registry
from mindbot_tasks.stores.inbox import Recorded
from tests.platforms.far_side import FarSide, Say, far_side

ROBOT = {"client_id": "d", "client_secret": SecretStr("s")}


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(**sections: Any) -> None:
        registry.get.cache_clear()
        settings = Settings(language="en", **sections)
        for place in ("cli.send", "cli.register", "platforms.registry"):
            monkeypatch.setattr(f"mindbot_tasks.{place}.get_settings", lambda: settings)

    yield make
    registry.get.cache_clear()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output.strip()


def test_says_which_message_it_became(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(dingtalk={"default": ROBOT})
    sent: list[dict[str, Any]] = []

    def send(platform: Any, parts: Any, **fields: Any) -> Recorded:
        sent.append(fields)
        return Recorded(7, fresh=len(sent) == 1, first_in_line=True)

    monkeypatch.setattr(intake, "send", send)
    assert run("send", "dingtalk", "hello", "--user", "u", "--key", "k")[1].startswith("message 7 is on its way")
    assert "before with this key" in run("send", "dingtalk", "hello", "--user", "u", "--key", "k")[1]
    assert sent[0] == {"user_id": "u", "conversation_id": "", "key": "k"}


def test_needs_exactly_one_receiver_and_a_platform_that_can(configure: Any) -> None:
    configure(dingtalk={"default": ROBOT}, chat={"default": {"secrets": []}})
    assert run("send", "dingtalk", "hello")[0] == 1
    assert run("send", "dingtalk", "hello", "--user", "u", "--conversation", "c")[0] == 1
    assert run("send", "chat", "hello", "--user", "u")[0] == 1
    assert run("send", "nowhere", "hello", "--user", "u")[0] == 1


def test_says_why_somebody_cannot_be_written_to(configure: Any) -> None:
    account = {"username": "MindBot", "password": SecretStr("p"), "server": "127.0.0.1"}
    configure(aim={"default": account})
    assert run("send", "aim", "hello", "--conversation", "room") == (
        1,
        "mindbot: on AIM the bot writes to persons only",
    )


def test_registers_each_bot_that_needs_it(configure: Any) -> None:
    with far_side() as server:
        server.script.extend([Say(200, {"accessToken": "t", "expireIn": 7200}), Say(200, {"success": True})])
        _configure_cards(configure, server)
        code, told = run("register", "https://bot.example.com/")
    assert code == 0
    assert told.endswith("dingtalk (b): flows -> https://bot.example.com/webhooks/dingtalk/b")
    assert server.asked[1].json["callbackUrl"] == "https://bot.example.com/webhooks/dingtalk/b"


def _configure_cards(configure: Any, server: FarSide) -> None:
    cards = {
        "client_id": "registers",
        "card_route_key": "flows",
        "card_callback_secret": SecretStr("x"),
        "api_base": server.url,
    }
    configure(dingtalk={"default": ROBOT, "b": ROBOT | cards})


def test_an_address_is_needed_and_nothing_to_do_is_said(configure: Any) -> None:
    configure(dingtalk={"default": ROBOT})
    assert run("register")[0] == 1
    code, told = run("register", "https://bot.example.com")
    assert (code, told) == (0, "nothing to register: no platform that needs it is set up for it")
