"""kombu's Redis transport with one client object for each channel instead of one for each command.

redis-py builds about 170 response callbacks for every client, which costs more than the command itself: measured in
`benchmarks/`, a three-task chain needs about a third less CPU with this.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """Keeps the client of its synchronous commands; redis clients are safe to share between threads."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # a pub/sub or a blocking pop owns its connection
            return super()._create_client(asynchronous=True)  # type: ignore[misc]
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]
        return self._kept

    def _connparams(self, asynchronous: bool = False) -> Any:
        # When the broker dies, Celery closes the transport before the channel, whose last wish is to give back what it
        # has fetched. kombu 5.7 then stumbles over the closed transport, and the AttributeError ends the whole worker;
        # a connection error is what everybody there is prepared for.
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the connection to the broker has been closed")
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]


class Transport(redis.Transport):
    """The Redis transport with the channel above."""

    Channel = Channel
