"""What an onlooker such as Flower can see: every event that Celery's processes publish."""

from __future__ import annotations

import base64
import json
import threading

import redis


class Overheard:
    """Listens from the moment it is made, in a thread of its own."""

    def __init__(self, redis_url: str) -> None:
        self._client = redis.Redis.from_url(redis_url)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._pubsub.psubscribe("*celeryev*")
        self._lock = threading.Lock()
        self._bodies: list[str] = []
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="overhearing", daemon=True)
        self._thread.start()

    @property
    def bodies(self) -> list[str]:
        """Each event, or list of events, as JSON."""
        with self._lock:
            return list(self._bodies)

    def close(self) -> None:
        self._closed.set()
        self._thread.join(5)
        self._pubsub.close()
        self._client.close()

    def _listen(self) -> None:
        while not self._closed.is_set():
            message = self._pubsub.get_message(timeout=0.5)
            if message is None:
                continue
            letter = json.loads(message["data"])
            with self._lock:
                self._bodies.append(base64.b64decode(letter["body"]).decode())
