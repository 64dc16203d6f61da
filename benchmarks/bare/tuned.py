"""The bare chain with MindBot's own Celery settings: its channel, one list for each queue, events for Flower."""

from __future__ import annotations

import os

from celery import Celery
from kombu import Queue

import celeryconfig

app = Celery("tuned")
app.conf.update({name: value for name, value in vars(celeryconfig).items() if name.islower() and name[0] != "_"})
app.conf.update(
    broker_url=os.environ["BENCH_BROKER_URL"],
    task_queues=[Queue("first", routing_key="first"), Queue("second", routing_key="second")],
    task_routes={"bare.one": "first", "bare.two": "second", "bare.three": "first"},
    task_default_queue="first",
    imports=("benchmarks.bare.tasks",),
)
