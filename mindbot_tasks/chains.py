"""THE MAP: every chain, spelt out once, by task name, so that whoever starts one loads none of the stages."""

from __future__ import annotations

import time

import structlog
from celery import Signature, chain
from kombu.exceptions import OperationalError

from mindbot_tasks.app import app
from mindbot_tasks.model.message import Stage

log = structlog.get_logger(__name__)

#: after a publish that did not work, nobody tries for this long: the sweeper starts what was left
BROKER_PAUSE_S = 2.0

_broker_down_until = 0.0


def _stage(stage: Stage, message_id: int) -> Signature:
    # repr given, so that Celery does not build it; immutable, so that no result travels
    return app.signature(f"mindbot.{stage}", args=(message_id,), immutable=True)


def answer(message_id: int, start: Stage = Stage.CLASSIFY) -> Signature:
    """classify -> generate -> reply, or what is left of it."""
    stages = [Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY]
    if start is Stage.APOLOGISE:
        return _stage(start, message_id)
    left = [_stage(stage, message_id) for stage in stages[stages.index(start) :]]
    return chain(*left) if len(left) > 1 else left[0]


def start(message_id: int, stage: Stage = Stage.CLASSIFY) -> bool:
    """Start the chain of a message. False when the broker does not take it: the sweeper will, from the ledger."""
    global _broker_down_until
    now = time.monotonic()
    if now < _broker_down_until:
        return False
    if _broker_down_until:  # one thread tries whether it is back; the others do not wait with it
        _broker_down_until = now + BROKER_PAUSE_S
    try:
        answer(message_id, stage).apply_async()
    except (OperationalError, OSError) as exc:
        _broker_down_until = time.monotonic() + BROKER_PAUSE_S
        log.warning("broker_unreachable", reason=type(exc).__name__, message_id=message_id)
        return False
    _broker_down_until = 0.0
    return True
