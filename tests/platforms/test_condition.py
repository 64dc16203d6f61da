"""How each bot is: what is known of its connection, its token and its last messages, and what that means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mindbot_tasks.platforms.condition import judge
from mindbot_tasks.stores.connections import Connection
from mindbot_tasks.stores.tokens import State
from mindbot_tasks.stores.traffic import Traffic

BOT = ("dingtalk", "default")
ONLINE = Connection("dingtalk", "default", "bridges@host:1", "online", "2 of 2 connections", 60.0, 3.0)


def test_a_bot_with_everything_it_needs_is_well() -> None:
    (one,) = judge(
        [BOT], {BOT}, [ONLINE], {BOT: Traffic(5.0, 2.0)}, {BOT: ("dingtalk:a",)}, {"dingtalk:a": State("good", 6000.0)}
    )
    assert one.as_record() == {
        "platform": "dingtalk", "bot": "default", "ok": True, "reason": "connected", "connection": "online",
        "connection_detail": "2 of 2 connections", "connection_since_s": 60.0, "last_frame_s": 3.0, "token": "good",
        "token_left_s": 6000.0, "last_inbound_s": 5.0, "last_outbound_s": 2.0,
    }  # fmt: skip


def test_a_bot_that_is_called_by_webhook_needs_no_connection() -> None:
    (one,) = judge([BOT], set(), None, {}, {BOT: ("dingtalk:a",)}, {"dingtalk:a": State("none")})
    assert (one.ok, one.connection, one.token, one.last_inbound_s) == (True, "not_needed", "none", None)


@pytest.mark.parametrize(
    ("said", "connection", "reason"),
    [
        ([], "no_data", "no process holds its connection"),
        (None, "no_data", "no process holds its connection"),
        (
            [replace(ONLINE, state="backing_off", detail="again in 8 s")],
            "backing_off",
            "its connection is backing off: again in 8 s",
        ),
        ([replace(ONLINE, state="refused", detail="")], "refused", "its connection is refused"),
    ],
)
def test_a_connection_that_is_not_there_is_named(said: list[Connection] | None, connection: str, reason: str) -> None:
    (one,) = judge([BOT], {BOT}, said, {}, {}, {})
    assert (one.ok, one.connection, one.reason) == (False, connection, reason)


def test_refused_credentials_are_named() -> None:
    (one,) = judge([BOT], set(), [], {}, {BOT: ("dingtalk:a",)}, {"dingtalk:a": State("refused")})
    assert (one.ok, one.reason) == (False, "its credentials are refused")


def test_settings_that_cannot_be_used_are_named() -> None:
    (one,) = judge([BOT], set(), [], {}, {BOT: None}, {})
    assert (one.ok, one.reason) == (False, "its settings cannot be used")
