"""Putting a task into its queue with less work: the message is the one that Celery and kombu would write.

Celery's own way there (merging options, routing, binding queues, signals, pools of producers, a client object for each
command) costs 0.7 ms, three times for each message. Here the plain case, a task of ours by name with nothing
but ids, is written at once and pushed on a kept connection. Whatever is not plain takes Celery's way, and so does a
push that failed, for Celery knows how to try again. Why, and how to go back:
docs/decisions/0008-plain-tasks-are-pushed-directly.md.
"""

from __future__ import annotations

import base64
import os
from collections import deque
from typing import Any, Final
from uuid import uuid4

import orjson
import redis
from celery import Celery, signals
from celery.utils.nodenames import anon_nodename
from kombu.exceptions import OperationalError

from mindbot_tasks import broker
from mindbot_tasks.events import Dispatcher

#: what may be said about a task without leaving the plain case; everything else must be None
_PLAIN: Final = frozenset(
    {
        "task_id", "root_id", "parent_id", "chain", "argsrepr", "kwargsrepr", "reply_to", "ignore_result",
        "result_cls", "task_type", "add_to_parent",
    }
)  # fmt: skip
#: what may be said because it is so anyway
_USUAL: Final = {"retries": 0, "replaced_task_nesting": 0, "priority": 0, "serializer": "json"}


class _Line:
    """Kept connections to the broker that one pool of producers leads to."""

    def __init__(self, app: Celery, producers: Any) -> None:
        self.producers = producers
        self.pid = os.getpid()
        self.retries = bool(app.conf.task_publish_retry)
        self.tells = bool(app.conf.task_send_sent_event)
        self.queues = {name: route["queue"] for name, route in (app.conf.task_routes or {}).items()}
        self._free: deque[Any] = deque()
        #: another broker, or options that make a push more than a push, leave everything to Celery
        self.plain = False
        with app.connection_for_write() as connection:
            if not isinstance(connection.transport, broker.Transport) or app.conf.task_always_eager:
                return
            transport: Any = connection.transport
            # not `connection.channel()`, which would try for seconds
            channel = transport.create_channel(transport.establish_connection())
            self.plain = not channel._expires
            self._prefix = channel.global_keyprefix
            self._make, self._options = channel.pool.connection_class, channel.pool.connection_kwargs

    def push(self, queue: str, message: bytes) -> None:
        """LPUSH. Raises redis.RedisError or OSError; a kept connection that has ended meanwhile is replaced."""
        while True:
            kept = True
            try:
                connection = self._free.pop()
            except IndexError:
                connection, kept = self._make(**self._options), False
            try:
                connection.send_command("LPUSH", self._prefix + queue, message)
                connection.read_response()
            except BaseException as exc:
                connection.disconnect()
                if kept and isinstance(exc, redis.ConnectionError):
                    continue
                raise
            self._free.append(connection)
            return


class MindBot(Celery):
    """Celery, with a short way for plain tasks."""

    _line: _Line | None = None

    def send_task(  # type: ignore[override]
        self, name: str, args: Any = None, kwargs: Any = None, **options: Any
    ) -> Any:
        """As Celery's. Raises kombu's OperationalError when the broker does not take it."""
        line = self._open_line() if _is_plain(args, kwargs, options) else None
        queue = line.queues.get(name) if line is not None and line.plain else None
        if line is None or queue is None or (line.tells and not Dispatcher.collects()):
            return super().send_task(name, args, kwargs, **options)
        task_id = options.get("task_id") or str(uuid4())
        root_id, parent_id = options.get("root_id"), options.get("parent_id")
        if not (root_id and parent_id) and (parent := self.current_worker_task) is not None:
            root_id = root_id or parent.request.root_id or parent.request.id
            parent_id = parent_id or parent.request.id
        headers, message = _written(name, queue, args, task_id, root_id or task_id, parent_id, options)
        try:
            line.push(queue, message)
        except (redis.RedisError, OSError) as exc:
            if line.retries:
                return super().send_task(name, args, kwargs, **{**options, "task_id": task_id})
            raise OperationalError(str(exc)) from exc
        if line.tells:
            Dispatcher.collect(
                "task-sent",
                uuid=task_id, root_id=headers["root_id"], parent_id=parent_id, name=name, args=headers["argsrepr"],
                kwargs=headers["kwargsrepr"], retries=0, eta=None, expires=None, queue=queue, exchange="",
                routing_key=queue,
            )  # fmt: skip
        return (options.get("result_cls") or self.AsyncResult)(task_id)

    def _open_line(self) -> _Line | None:
        """None: let Celery see what is wrong, and try again if it may."""
        producers = self.amqp.producer_pool
        line = self._line
        if line is None or line.producers is not producers or line.pid != os.getpid():
            try:
                line = self._line = _Line(self, producers)
            except (redis.RedisError, OSError) as exc:
                if self.conf.task_publish_retry:
                    return None
                raise OperationalError(str(exc)) from exc
        return line


def _is_plain(args: Any, kwargs: Any, options: dict[str, Any]) -> bool:
    if kwargs or not isinstance(args, tuple | list) or "argsrepr" not in options:
        return False
    if signals.before_task_publish.receivers or signals.after_task_publish.receivers or signals.task_sent.receivers:
        return False
    return all(
        value is None or name in _PLAIN or (name in _USUAL and value == _USUAL[name]) for name, value in options.items()
    )


def _written(
    name: str, queue: str, args: Any, task_id: str, root_id: str, parent_id: str | None, options: dict[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """Headers and the whole message: protocol 2 of Celery in the envelope of kombu's virtual transports."""
    body = [args, {}, {"callbacks": None, "errbacks": None, "chain": options.get("chain"), "chord": None}]
    texts = {"argsrepr": options["argsrepr"], "kwargsrepr": options.get("kwargsrepr") or "{}"}
    headers = {
        "lang": "py",
        "task": name,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": root_id,
        "parent_id": parent_id,
        **texts,
        "origin": anon_nodename(),
        "ignore_result": options.get("ignore_result"),
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    message = {
        "body": base64.b64encode(orjson.dumps(body)).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {
            "correlation_id": task_id,
            "reply_to": options.get("reply_to") or "",
            **texts,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }
    return headers, orjson.dumps(message)
