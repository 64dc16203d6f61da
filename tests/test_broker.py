"""The broker's channel after the connection has gone: whoever still holds it gets a connection error, never a crash."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from kombu.utils import json

from mindbot_tasks.broker import Channel, Transport, dumps, loads


@pytest.mark.parametrize("transport", [None, SimpleNamespace(client=None)], ids=["channel closed", "transport closed"])
def test_a_command_after_the_end_of_the_connection_is_a_connection_error(transport: Any) -> None:
    channel = Channel.__new__(Channel)
    channel.connection = transport
    with pytest.raises(Transport.connection_errors), channel.conn_or_acquire():
        pass


@pytest.mark.parametrize(
    "value",
    [
        {"id": 7, "text": "你好", "none": None, "list": [1, 2.5, True]},
        {"at": datetime(2026, 11, 21, tzinfo=UTC), "uuid": UUID(int=5), "price": Decimal("1.50")},
        [{"__type__": "date", "text": "looks like one of kombu's own"}],
        {1: "a key that is a number"},
        2**70,
    ],
    ids=["plain", "typed", "lookalike", "number as key", "big"],
)
def test_messages_are_what_kombu_itself_would_write_and_read(value: Any) -> None:
    assert loads(dumps(value)) == json.loads(json.dumps(value))
    assert json.loads(dumps(value)) == loads(json.dumps(value))
