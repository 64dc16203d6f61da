"""THE MAP: every chain, spelt out once, by task name, so that whoever starts one loads none of the stages."""

from __future__ import annotations

from uuid import uuid4

import structlog
from celery import Signature, chain
from kombu.exceptions import OperationalError

from mindbot_tasks.app import app
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.model.message import Stage

log = structlog.get_logger(__name__)

#: after a publish that did not work one thread at a time tries again; the sweeper starts what was left
_broker = Holdoff(pause_s=2.0)


#: who comes after whom
STAGES = (Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY)


def _texts(message_id: int) -> dict[str, str]:
    """The texts for Flower, given because Celery's own way to them is long."""
    return {"argsrepr": f"({message_id},)", "kwargsrepr": "{}"}


def _stage(stage: Stage, message_id: int) -> Signature:
    # immutable, so that no result travels
    return app.signature(f"mindbot.{stage}", args=(message_id,), options=_texts(message_id), immutable=True)


def _left(start: Stage) -> tuple[Stage, ...]:
    return (start,) if start is Stage.APOLOGISE else STAGES[STAGES.index(start) :]


def answer(message_id: int, start: Stage = Stage.CLASSIFY) -> Signature:
    """classify -> generate -> reply, or what is left of it."""
    left = [_stage(stage, message_id) for stage in _left(start)]
    return chain(*left) if len(left) > 1 else left[0]


def _send(message_id: int, start: Stage) -> None:
    """`answer(...).apply_async()` without the objects in between, which cost more than the sending."""
    texts, reply_to = _texts(message_id), app.thread_oid
    first, *later = _left(start)
    links = [
        {
            "task": f"mindbot.{stage}",
            "args": [message_id],
            "kwargs": {},
            "options": {**texts, "task_id": str(uuid4()), "reply_to": reply_to},
            "subtask_type": None,
            "immutable": True,
        }
        for stage in reversed(later)  # the next one is taken from the end
    ]
    app.send_task(
        f"mindbot.{first}", (message_id,), task_id=str(uuid4()), reply_to=reply_to, chain=links or None, **texts
    )


def start(message_id: int, stage: Stage = Stage.CLASSIFY) -> bool:
    """Start the chain of a message. False when the broker does not take it: the sweeper will, from the ledger."""
    if not _broker.allows():
        return False
    try:
        _send(message_id, stage)
    except (OperationalError, OSError) as exc:
        _broker.failed()
        log.warning("broker_unreachable", reason=type(exc).__name__, message_id=message_id)
        return False
    _broker.worked()
    return True
