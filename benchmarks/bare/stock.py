"""The bare chain as Celery comes, but for what every careful user sets: JSON, late acknowledgement, no results."""

from __future__ import annotations

import os

from celery import Celery
from kombu import Queue

app = Celery("stock", broker=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    task_queues=[Queue("first", routing_key="first"), Queue("second", routing_key="second")],
    task_routes={"bare.one": "first", "bare.two": "second", "bare.three": "first"},
    worker_hijack_root_logger=False,
    imports=("benchmarks.bare.tasks",),
)
