"""Whether this process lives, whether a message can go all the way, and the numbers."""

from __future__ import annotations

from dataclasses import asdict

import flask
from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue

from mindbot_tasks.exporting import page
from mindbot_tasks.readiness import state

health = APIBlueprint("health", __name__, enable_openapi=False)


@health.get("/livez")
def livez() -> ResponseReturnValue:
    """This process can answer; nothing more."""
    return {"alive": True}


@health.get("/readyz")
def readyz() -> ResponseReturnValue:
    """200 when a message that comes now can go all the way, else 503; with reasons either way."""
    _, readiness = state.get()
    return asdict(readiness), 200 if readiness.ready else 503


@health.get("/metrics")
def numbers() -> ResponseReturnValue:
    """Everything counted, for Prometheus."""
    text, content_type = page.render()
    return flask.Response(text, content_type=content_type)
