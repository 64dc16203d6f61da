"""What the ledger and Redis know of the whole fleet, as gauges: readiness, queues, bots, breakers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import redis
import structlog
from prometheus_client.core import GaugeMetricFamily

from mindbot_tasks.app import app
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.exporting import catalogue
from mindbot_tasks.model.message import FINISHED, State
from mindbot_tasks.readiness import Readiness
from mindbot_tasks.stores import breaker_view
from mindbot_tasks.stores.health import HealthSnapshot
from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)

_ON_THEIR_WAY = tuple(state for state in State if state not in FINISHED)


def of_ledger(seen: HealthSnapshot | None, readiness: Readiness) -> Iterator[GaugeMetricFamily]:
    """From what /readyz looks at; no statement of its own."""
    yield catalogue.READY.one(readiness.ready)
    yield from _of_platforms(readiness.platforms)
    if readiness.knowledge is not None:
        yield catalogue.KNOWLEDGE_OK.one(readiness.knowledge.ok)
    if seen is None:
        return
    yield catalogue.CANARY_AGE.of(((queue,), age_s) for queue, age_s in seen.canary_age_s.items())
    served = Counter(queue for worker in seen.queues for queue in worker)
    yield catalogue.QUEUE_WORKERS.of(((queue,), count) for queue, count in sorted(served.items()))
    yield catalogue.UNFINISHED.of(((state,), seen.unfinished.get(state, 0)) for state in _ON_THEIR_WAY)
    yield catalogue.OLDEST_UNFINISHED.of(((state,), seen.oldest_s.get(state, 0)) for state in _ON_THEIR_WAY)
    yield catalogue.OLDEST_UNSTARTED.one(seen.oldest_unstarted_s or 0)
    yield catalogue.WORKERS.one(seen.workers)
    yield catalogue.SWEEP_AGE.one(seen.sweep_age_s)


def _of_platforms(platforms: list[dict[str, Any]]) -> Iterator[GaugeMetricFamily]:
    yield catalogue.PLATFORM_OK.of(((one["platform"], one["bot"]), one["ok"]) for one in platforms)
    for key, gauge in catalogue.PLATFORM_AGES:
        yield gauge.of(((one["platform"], one["bot"]), one[key]) for one in platforms)
    yield catalogue.PLATFORM_CONNECTED.of(
        ((one["platform"], one["bot"]), one["connection"] == "online")
        for one in platforms
        if one["connection"] != "not_needed"
    )


def of_redis(settings: Settings) -> Iterator[GaugeMetricFamily]:
    """How many tasks wait where, and which breakers are open; nothing while Redis is away."""
    if not settings.broker_url.get_secret_value():
        queues = sorted(app.amqp.queues)
        prefix = app.conf.broker_transport_options["global_keyprefix"]
        pipe = get_redis().pipeline(transaction=False)
        for queue in queues:
            pipe.llen(prefix + queue)
        try:
            depths = pipe.execute()
        except redis.RedisError as exc:
            log.debug("queue_depths_unknown", error=type(exc).__name__)
            return
        yield catalogue.DEPTH.of(((queue,), depth) for queue, depth in zip(queues, depths, strict=True))
    names = [f"workflow:{name}" for name in settings.workflows] + [f"provider:{name}" for name in settings.providers]
    if names:
        left_s = breaker_view.open_for_s(names)
        yield catalogue.BREAKER_OPEN.of(((name,), name in left_s) for name in names)
        yield catalogue.BREAKER_LEFT.of(((name,), each) for name, each in left_s.items())
