"""The short way into a queue: what stands there is what Celery would have written, and trouble takes Celery's way."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from celery import Celery, signals
from kombu import pools
from kombu.exceptions import OperationalError

from mindbot_tasks import chains, publishing
from mindbot_tasks.app import app
from mindbot_tasks.model.message import Stage

#: different each time, whoever writes them
_DRAWN = {"id", "root_id", "parent_id", "correlation_id", "delivery_tag", "task_id"}


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("CELERY_BROKER_URL", redis_url)
    monkeypatch.setattr(publishing.MindBot, "_line", None)
    _forget_broker()
    with redis.Redis.from_url(redis_url) as made:
        yield made
    _forget_broker()


def _forget_broker() -> None:
    pools.reset()
    vars(app)["_pool"] = None
    vars(app.amqp)["_producer_pool"] = None


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of tasks that Celery itself has sent."""
    sent: list[str] = []
    celerys = Celery.send_task

    def send_task(self: Celery, name: str, *args: Any, **options: Any) -> Any:
        sent.append(name)
        return celerys(self, name, *args, **options)

    monkeypatch.setattr(Celery, "send_task", send_task)
    monkeypatch.setitem(app.conf, "task_send_sent_event", False)
    return sent


def taken(client: Any, queue: str) -> dict[str, Any]:
    """The message that came first, with its body readable."""
    message: dict[str, Any] = json.loads(client.rpop(f"mindbot:{queue}"))
    message["body"] = json.loads(base64.b64decode(message["body"]))
    return message


def alike(value: Any) -> Any:
    """Without what is drawn anew for each message.

    Celery says `ignore_result` where the task's code is loaded, and leaves it to the task where it is not; it comes to
    the same, and which of the two happens here depends on the tests that ran before.
    """
    if isinstance(value, dict):
        return {
            name: "drawn" if name in _DRAWN and item else alike(item)
            for name, item in value.items()
            if name != "ignore_result"
        }
    return [alike(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("start", list(Stage))
def test_a_start_is_written_as_celery_writes_the_chain(
    client: Any, long_way: list[str], start: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chains.start(17, start)
    assert long_way == []
    short = taken(client, start if start is not Stage.APOLOGISE else "reply")
    monkeypatch.setattr(publishing, "_is_plain", lambda *_: False)
    chains.answer(17, start).apply_async()
    assert long_way == [f"mindbot.{start}"]
    assert alike(short) == alike(taken(client, start if start is not Stage.APOLOGISE else "reply"))


def test_the_ids_of_a_chain_belong_together(client: Any, long_way: list[str]) -> None:
    chains.start(17)
    message = taken(client, "classify")
    assert message["headers"]["id"] == message["headers"]["root_id"] == message["properties"]["correlation_id"]
    links = message["body"][2]["chain"]
    assert [link["task"] for link in links] == ["mindbot.reply", "mindbot.generate"]
    assert len({message["headers"]["id"], *(link["options"]["task_id"] for link in links)}) == 3


@pytest.mark.parametrize(
    "options",
    [{"countdown": 5}, {"expires": 5}, {"queue": "upkeep"}, {"link": []}, {"headers": {"x": "y"}}, {"priority": 3}],
    ids=lambda options: next(iter(options)),
)
def test_whatever_is_not_plain_is_celerys(client: Any, long_way: list[str], options: dict[str, Any]) -> None:
    app.send_task("mindbot.reply", (1,), argsrepr="(1,)", **options)
    assert long_way == ["mindbot.reply"]


def test_who_listens_to_publishing_hears_it(client: Any, long_way: list[str]) -> None:
    heard: list[str] = []

    def hear(sender: str, **_: Any) -> None:
        heard.append(sender)

    signals.before_task_publish.connect(hear)
    try:
        chains.start(1)
    finally:
        signals.before_task_publish.disconnect(hear)
    assert heard == long_way == ["mindbot.classify"]


def _cut_all(client: Any) -> None:
    client.client_kill_filter(_type="normal", skipme=True)


def _cut_and_deaf(client: Any, port: int) -> None:
    assert app._line is not None
    app._line._options["port"] = port
    _cut_all(client)


def test_a_connection_that_ended_meanwhile_is_replaced(client: Any, long_way: list[str]) -> None:
    chains.start(1)
    _cut_all(client)
    assert chains.start(2)
    assert long_way == []
    assert client.llen("mindbot:classify") == 2


@pytest.mark.parametrize("retries", [True, False])
def test_a_push_that_fails_is_celerys_where_it_may_try_again(
    client: Any, long_way: list[str], retries: bool, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.conf, "task_publish_retry", retries)
    chains.start(1)
    _cut_and_deaf(client, closed_port)
    send: Callable[[], Any] = lambda: app.send_task("mindbot.reply", (2,), argsrepr="(2,)")  # noqa: E731
    if retries:
        send()
        assert long_way == ["mindbot.reply"]
        assert client.llen("mindbot:reply") == 1
    else:
        with pytest.raises(OperationalError):
            send()
        assert long_way == []
