"""THE MAP: every chain, spelt out once, by task name, so that whoever starts one loads none of the stages."""

from __future__ import annotations

import structlog
from celery import Signature, chain
from kombu.exceptions import OperationalError

from mindbot_tasks.app import app
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.model.message import Stage

log = structlog.get_logger(__name__)

#: after a publish that did not work one thread at a time tries again; the sweeper starts what was left
_broker = Holdoff(pause_s=2.0)


def _stage(stage: Stage, message_id: int) -> Signature:
    # immutable, so that no result travels; the texts for Flower given, for Celery's own way to them is long
    texts = {"argsrepr": f"({message_id},)", "kwargsrepr": "{}"}
    return app.signature(f"mindbot.{stage}", args=(message_id,), options=texts, immutable=True)


def answer(message_id: int, start: Stage = Stage.CLASSIFY) -> Signature:
    """classify -> generate -> reply, or what is left of it."""
    stages = [Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY]
    if start is Stage.APOLOGISE:
        return _stage(start, message_id)
    left = [_stage(stage, message_id) for stage in stages[stages.index(start) :]]
    return chain(*left) if len(left) > 1 else left[0]


def start(message_id: int, stage: Stage = Stage.CLASSIFY, *, delay_s: float = 0.0) -> bool:
    """Start the chain of a message. False when the broker does not take it: the sweeper will, from the ledger.

    delay_s: it cannot be claimed earlier, by its `not_before`. The delay lives in the broker and in a worker's memory;
    should it get lost, the sweeper finds the message by its `wake_at`.
    """
    if not _broker.allows():
        return False
    try:
        chain_of = answer(message_id, stage)
        if delay_s:
            chain_of.apply_async(countdown=delay_s)
        else:
            chain_of.apply_async()
    except (OperationalError, OSError) as exc:
        _broker.failed()
        log.warning("broker_unreachable", reason=type(exc).__name__, message_id=message_id)
        return False
    _broker.worked()
    return True
