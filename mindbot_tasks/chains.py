"""THE MAP: every chain, spelt out once, by task name, so that whoever starts one loads none of the stages."""

from __future__ import annotations

import structlog
from celery import Signature, chain
from kombu.exceptions import OperationalError

from mindbot_tasks.app import app
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.model.message import Stage
from mindbot_tasks.platforms.queues import SHARED

log = structlog.get_logger(__name__)

#: after a publish that did not work one thread at a time tries again; the sweeper starts what was left
_broker = Holdoff(pause_s=2.0)


#: what speaks to the asker
_SENDING = (Stage.REPLY, Stage.APOLOGISE)


def _stage(stage: Stage, message_id: int, reply_queue: str) -> Signature:
    # immutable, so that no result travels; the texts for Flower given, for Celery's own way to them is long
    options = {"argsrepr": f"({message_id},)", "kwargsrepr": "{}"}
    if reply_queue != SHARED and stage in _SENDING:
        options["queue"] = reply_queue
    return app.signature(f"mindbot.{stage}", args=(message_id,), options=options, immutable=True)


def answer(message_id: int, start: Stage = Stage.CLASSIFY, reply_queue: str = SHARED) -> Signature:
    """classify -> generate -> reply, or what is left of it."""
    stages = [Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY]
    if start is Stage.APOLOGISE:
        return _stage(start, message_id, reply_queue)
    left = [_stage(stage, message_id, reply_queue) for stage in stages[stages.index(start) :]]
    return chain(*left) if len(left) > 1 else left[0]


def fetch(feed_id: int) -> Signature:
    """collect, which records messages and starts `answer` for each."""
    texts = {"argsrepr": f"({feed_id},)", "kwargsrepr": "{}"}
    return app.signature("mindbot.collect", args=(feed_id,), options=texts, immutable=True)


def start(message_id: int, stage: Stage = Stage.CLASSIFY, reply_queue: str = SHARED, *, delay_s: float = 0.0) -> bool:
    """Start the chain of a message; `reply_queue`: that of its bot (platforms/queues.py).

    False when the broker does not take it: the sweeper will, from the ledger. delay_s: nobody can claim it earlier, by
    its `not_before`. The delay lives in a worker's memory; should it get lost, the sweeper finds the message.
    """
    return _publish(answer(message_id, stage, reply_queue), delay_s=delay_s, message_id=message_id)


def collect(feed_id: int) -> bool:
    """Have a feed read. False when the broker does not take it: the sweeper will, from the feed's row."""
    return _publish(fetch(feed_id), feed=feed_id)


def _publish(signature: Signature, *, delay_s: float = 0.0, **whose: int) -> bool:
    if not _broker.allows():
        return False
    try:
        if delay_s:
            signature.apply_async(countdown=delay_s)
        else:
            signature.apply_async()
    except (OperationalError, OSError) as exc:
        _broker.failed()
        log.warning("broker_unreachable", reason=type(exc).__name__, **whose)
        return False
    _broker.worked()
    return True
