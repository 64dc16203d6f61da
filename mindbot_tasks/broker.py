"""kombu's Redis transport with less work for each command; the messages on the wire stay what they are.

One client object for each channel instead of one for each command (redis-py builds about 170 response callbacks for
every client, which costs more than the command itself), and orjson in place of the standard library's JSON. Figures:
docs/performance.md.
"""

from __future__ import annotations

from typing import Any

import orjson
from kombu import serialization
from kombu.transport import redis
from kombu.utils import json

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
_TYPED = b'"__type__"'


def dumps(value: Any) -> str:
    """JSON as kombu writes it; what orjson does not know (times, UUIDs, decimals) goes kombu's own way."""
    try:
        return orjson.dumps(value, option=_OPTIONS).decode()
    except TypeError:
        written: str = json.dumps(value)
        return written


def loads(text: str | bytes | bytearray | memoryview) -> Any:
    """What `dumps` or kombu wrote. Raises ValueError."""
    if isinstance(text, str):
        text = text.encode()
    if _TYPED in bytes(text):
        return json.loads(text)
    return orjson.loads(text)


def use_orjson() -> None:
    """From now on the serialiser "json" of this process is the pair above; the content type stays."""
    serialization.register("json", dumps, loads, content_type="application/json", content_encoding="utf-8")


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


# the transport itself writes and reads the envelope around each message with these two
vars(redis).update(dumps=dumps, loads=loads)
