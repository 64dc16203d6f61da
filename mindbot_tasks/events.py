"""What Flower hears, in parcels: a worker collects its task events for half a second and sends them in one message.

Celery's worker sends them at every turn of its loop, which under load means a message to the broker for each event or
two, and publishes "task-sent" with a command of its own: together a quarter of all that a chain costs (measured in
`benchmarks/`). Flower and `celery events` understand parcels; only the clock of the events counts there, not when they
come.
"""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from celery.app.events import Events as CeleryEvents
from celery.events import EventDispatcher
from kombu.asynchronous import get_event_loop

from mindbot_tasks.core import shutdown

EVERY_S = 0.5
#: a parcel is sent early when it holds so many events
LIMIT = 500


class Dispatcher(EventDispatcher):
    """Collects where Celery's own does (a worker with an event loop); elsewhere it is Celery's own."""

    #: the one of this process that collects
    _collecting: ClassVar[Dispatcher | None] = None

    def __init__(self, *args: Any, **options: Any) -> None:
        self._scheduled = threading.Lock()
        self._at_once: Any = options.get("on_send_buffered")
        self._hub: Any = get_event_loop()
        if self._at_once and self._hub is not None:
            options |= {"buffer_limit": LIMIT, "on_send_buffered": self._later}
            Dispatcher._collecting = self
        super().__init__(*args, **options)

    def publish(self, type: str, fields: dict[str, Any], producer: Any, *args: Any, **options: Any) -> None:
        """As Celery's; in a worker that collects, the event goes along with the others."""
        if type == "task-sent" and Dispatcher.collects():
            Dispatcher.collect(type, **fields)
        else:
            super().publish(type, fields, producer, *args, **options)

    @classmethod
    def collects(cls) -> bool:
        """Whether this process is a worker that collects its events."""
        return cls._collecting is not None and bool(cls._collecting.enabled)

    @classmethod
    def collect(cls, type: str, **fields: Any) -> None:
        """Let an event go along with the others; only when `collects`."""
        if cls._collecting is not None:
            cls._collecting.send(type, **fields)

    def _later(self) -> None:
        """Called with every event, by any thread."""
        if shutdown.stopping():
            self._at_once()  # the loop will not turn for much longer
        elif self._scheduled.acquire(blocking=False):
            self._hub.call_soon(self._hub.call_later, EVERY_S, self._send_parcel)  # timers belong to the loop's thread

    def _send_parcel(self) -> None:
        self._scheduled.release()
        self.flush()


class Events(CeleryEvents):
    """For `Celery(events=...)`."""

    dispatcher_cls = "mindbot_tasks.events:Dispatcher"
