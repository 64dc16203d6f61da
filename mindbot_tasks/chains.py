"""THE MAP: every chain, spelt out once, by task name, so that whoever starts one loads none of the stages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from celery import Signature, chain
from kombu.exceptions import OperationalError

from mindbot_tasks.app import app
from mindbot_tasks.core import telemetry
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.model.message import Stage
from mindbot_tasks.platforms.queues import SHARED

log = structlog.get_logger(__name__)

#: after a publish that did not work one thread at a time tries again; the sweeper starts what was left
_broker = Holdoff(pause_s=2.0)


#: who comes after whom
STAGES = (Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY)
#: what speaks to the asker
_SENDING = (Stage.REPLY, Stage.APOLOGISE)


def _texts(number: int) -> dict[str, str]:
    """The texts for Flower, given because Celery's own way to them is long."""
    return {"argsrepr": f"({number},)", "kwargsrepr": "{}"}


def _options(stage: Stage, message_id: int, reply_queue: str, generate_queue: str = "") -> dict[str, str]:
    options = _texts(message_id)
    if reply_queue != SHARED and stage in _SENDING:
        options["queue"] = reply_queue
    elif generate_queue not in ("", Stage.GENERATE) and stage is Stage.GENERATE:
        options["queue"] = generate_queue
    return options


def _stage(stage: Stage, message_id: int, reply_queue: str) -> Signature:
    # immutable, so that no result travels
    options = _options(stage, message_id, reply_queue)
    return app.signature(f"mindbot.{stage}", args=(message_id,), options=options, immutable=True)


def _left(start: Stage) -> tuple[Stage, ...]:
    return (start,) if start is Stage.APOLOGISE else STAGES[STAGES.index(start) :]


def answer(message_id: int, start: Stage = Stage.CLASSIFY, reply_queue: str = SHARED) -> Signature:
    """classify -> generate -> reply, or what is left of it."""
    left = [_stage(stage, message_id, reply_queue) for stage in _left(start)]
    return chain(*left) if len(left) > 1 else left[0]


def fetch(feed_id: int) -> Signature:
    """collect, which records messages and starts `answer` for each."""
    return app.signature("mindbot.collect", args=(feed_id,), options=_texts(feed_id), immutable=True)


def _send(message_id: int, start: Stage, reply_queue: str, delay_s: float, generate_queue: str, alone: bool) -> None:
    """`answer(...).apply_async()` without the objects in between, which cost more than the sending."""
    reply_to = app.thread_oid
    first, *later = _left(start)
    links = [
        {
            "task": f"mindbot.{stage}",
            "args": [message_id],
            "kwargs": {},
            "options": {
                **_options(stage, message_id, reply_queue, generate_queue),
                "task_id": str(uuid4()),
                "reply_to": reply_to,
            },
            "subtask_type": None,
            "immutable": True,
        }
        for stage in reversed(later)  # the next one is taken from the end
    ]
    name = f"mindbot.{first}"
    args: list[int | str] = [message_id]
    options = _options(first, message_id, reply_queue, generate_queue)
    if alone:  # by a worker that serves the queue of this stage
        options = {"queue": str(first), **options, "argsrepr": f"({message_id}, '{first}')"}
        name, args = "mindbot.alone", [message_id, str(first)]
    app.send_task(
        name,
        args,
        task_id=str(uuid4()),
        reply_to=reply_to,
        chain=links or None,
        countdown=delay_s or None,
        **options,
    )


def start(
    message_id: int,
    stage: Stage = Stage.CLASSIFY,
    reply_queue: str = SHARED,
    *,
    delay_s: float = 0.0,
    generate_queue: str = "",
    alone: bool = False,
) -> bool:
    """Start the chain of a message; `reply_queue`: that of its bot (platforms/queues.py); `generate_queue`: where its
    answer is made (lanes.py), "" while nobody knows.

    False when the broker does not take it: the sweeper will, from the ledger. delay_s: nobody can claim it earlier, by
    its `not_before`. The delay lives in a worker's memory; should it get lost, the sweeper finds the message.
    alone: this stage in a process of its own.
    """
    with telemetry.span(f"publish {stage}", "producer", {"mindbot.message.id": message_id}) as traced:
        send = partial(_send, message_id, stage, reply_queue, delay_s, generate_queue, alone)
        published = _published(send, message_id=message_id)
        if not published:
            traced.fail("broker_unreachable")
        return published


def send_next_to(queue: str, links: list[dict[str, Any]] | None, stage: Stage) -> None:
    """Have what is left of a running chain go on in this queue, if `stage` is what comes next. No round trip: the links
    travel with the task."""
    if links and links[-1]["task"] == f"mindbot.{stage}":
        links[-1]["options"]["queue"] = queue


def collect(feed_id: int) -> bool:
    """Have a feed read. False when the broker does not take it: the sweeper will, from the feed's row."""
    return _published(fetch(feed_id).apply_async, feed=feed_id)


def read_documents() -> bool:
    """Have whoever reads documents look now. False when the broker does not take it: `tend` will, in ten seconds."""
    wake = app.signature("mindbot.ingest", options={"queue": "ingest", "expires": 30}, immutable=True)
    return _published(wake.apply_async)


def _published(publish: Callable[[], object], **whose: int) -> bool:
    if not _broker.allows():
        return False
    try:
        publish()
    except (OperationalError, OSError) as exc:
        _broker.failed()
        log.warning("broker_unreachable", reason=type(exc).__name__, **whose)
        return False
    _broker.worked()
    return True
