"""What Flower hears: events of a worker go out in parcels, and none is left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery

from mindbot_tasks import events
from mindbot_tasks.core import shutdown
from mindbot_tasks.events import Dispatcher


class Loop:
    """A worker's event loop that turns when the test says so."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        callback(*args)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.timers.append((delay_s, callback))

    def pass_time(self) -> None:
        timers, self.timers = self.timers, []
        for _, callback in timers:
            callback()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = Loop()
    monkeypatch.setattr(events, "get_event_loop", lambda: made)
    monkeypatch.setattr(Dispatcher, "_collecting", None)
    return made


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """(routing key, event or list of events) of each message to the broker."""
    messages: list[tuple[str, Any]] = []

    def publish(_self: Any, event: Any, _producer: Any, routing_key: str, **_: Any) -> None:
        messages.append((routing_key, event))

    monkeypatch.setattr(Dispatcher, "_publish", publish)
    return messages


@pytest.fixture
def app() -> Celery:
    return Celery("test", broker="memory://", events="mindbot_tasks.events:Events", set_as_current=False)


def worker_dispatcher(app: Celery, at_once: Callable[[], None] = lambda: None) -> Any:
    return app.events.Dispatcher(app.connection_for_write(), buffer_group=["task"], on_send_buffered=at_once)


def test_task_events_of_half_a_second_are_one_message(app: Celery, loop: Loop, sent: list[tuple[str, Any]]) -> None:
    dispatcher = worker_dispatcher(app)
    for number in range(3):
        dispatcher.send("task-started", uuid=str(number))
    assert sent == []
    assert [delay_s for delay_s, _ in loop.timers] == [events.EVERY_S]
    loop.pass_time()
    [(key, parcel)] = sent
    assert key == "task.multi"
    assert [event["uuid"] for event in parcel] == ["0", "1", "2"]


def test_the_next_parcel_has_a_timer_of_its_own(app: Celery, loop: Loop, sent: list[tuple[str, Any]]) -> None:
    dispatcher = worker_dispatcher(app)
    for uuid in ("first", "second"):
        dispatcher.send("task-started", uuid=uuid)
        loop.pass_time()
    assert [parcel[0]["uuid"] for _, parcel in sent] == ["first", "second"]


def test_what_a_worker_publishes_goes_along(app: Celery, loop: Loop, sent: list[tuple[str, Any]]) -> None:
    worker_dispatcher(app)
    app.events.Dispatcher(enabled=False).publish("task-sent", {"uuid": "u"}, producer=None)
    assert sent == []
    loop.pass_time()
    assert [event["type"] for event in sent[0][1]] == ["task-sent"]


def test_without_a_worker_it_is_published_at_once(app: Celery, loop: Loop, sent: list[tuple[str, Any]]) -> None:
    app.events.Dispatcher(enabled=False).publish("task-sent", {"uuid": "u"}, producer=None)
    assert [key for key, _ in sent] == ["task.sent"]


def test_a_stopping_worker_waits_for_nothing(app: Celery, loop: Loop) -> None:
    asked: list[bool] = []
    dispatcher = worker_dispatcher(app, at_once=lambda: asked.append(True))
    shutdown.begin(10)
    try:
        dispatcher.send("task-succeeded", uuid="u")
    finally:
        shutdown.forget()
    assert asked == [True]
    assert loop.timers == []
