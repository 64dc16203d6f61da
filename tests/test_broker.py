"""The broker's channel after the connection has gone: whoever still holds it gets a connection error, never a crash."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mindbot_tasks.broker import Channel, Transport


@pytest.mark.parametrize("transport", [None, SimpleNamespace(client=None)], ids=["channel closed", "transport closed"])
def test_a_command_after_the_end_of_the_connection_is_a_connection_error(transport: Any) -> None:
    channel = Channel.__new__(Channel)
    channel.connection = transport
    with pytest.raises(Transport.connection_errors), channel.conn_or_acquire():
        pass
