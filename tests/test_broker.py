"""What we ask of the broker's channel: an error instead of a crash after the end, and how many tasks wait."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kombu import Connection, Queue

from mindbot_tasks.app import app
from mindbot_tasks.broker import Channel, Transport
from mindbot_tasks.sweep import _length
from tests.redis_server import redis_server


@pytest.mark.parametrize("transport", [None, SimpleNamespace(client=None)], ids=["channel closed", "transport closed"])
def test_a_command_after_the_end_of_the_connection_is_a_connection_error(transport: Any) -> None:
    channel = Channel.__new__(Channel)
    channel.connection = transport
    with pytest.raises(Transport.connection_errors), channel.conn_or_acquire():
        pass


def test_the_sweeper_sees_how_many_tasks_wait_in_a_queue() -> None:
    with redis_server() as url:
        options = app.conf.broker_transport_options
        with Connection(url.replace("unix:", "redis+socket:"), transport_options=options) as connection:
            producer, queue = connection.Producer(), Queue("reply", routing_key="reply")
            assert _length(connection.default_channel, "reply") == 0
            for number in range(3):
                producer.publish({"id": number}, routing_key="reply", declare=[queue])
            assert _length(connection.default_channel, "reply") == 3
