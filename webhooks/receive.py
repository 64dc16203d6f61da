"""The door: verify, parse, record, start, acknowledge. Nothing is acknowledged that is not committed."""

from __future__ import annotations

import time

import flask
from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue

from mindbot_tasks import intake
from mindbot_tasks.core import telemetry
from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.metrics import WEBHOOK_SECONDS, WEBHOOKS
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import Acknowledgement, BringsNews, Inbound, Platform

receive = APIBlueprint("receive", __name__, url_prefix="/webhooks", enable_openapi=False)


@receive.route("/<platform_name>", methods=["GET", "POST"], defaults={"bot": "default"})
@receive.route("/<platform_name>/<bot>", methods=["GET", "POST"])
def door(platform_name: str, bot: str) -> ResponseReturnValue:
    """One webhook call of a platform."""
    platform = registry.get(platform_name, bot)
    if not platform.capabilities.called:
        raise registry.UnknownPlatform(f"nobody calls {platform.name} by HTTP")
    flask.g.platform = platform.name
    acknowledgement, _ = take(platform, _to_inbound(flask.request))
    return flask.Response(
        acknowledgement.body, content_type=acknowledgement.content_type, headers=dict(acknowledgement.headers)
    )


def take(platform: Platform, inbound: Inbound) -> tuple[Acknowledgement, list[int]]:
    """Everything about one call: what to answer, and the ids of the messages that are now safe.

    Raises SignatureInvalid, PayloadInvalid or DatabaseUnavailable; then nothing may be acknowledged.
    """
    with telemetry.arriving(
        f"{inbound.method} /webhooks/{platform.name}",
        attributes={"http.request.method": inbound.method, "http.route": "/webhooks/<platform_name>"},
        traceparent=inbound.headers.get("traceparent"),
    ):
        platform.verify(inbound)
        messages = platform.parse(inbound)
        news = platform.news(inbound) if isinstance(platform, BringsNews) else None
        message_ids = intake.receive(messages) if messages else []
        if news is not None:
            intake.news(platform.name, platform.bot, news)
        return platform.acknowledge(inbound, message_ids), message_ids


def _to_inbound(request: flask.Request) -> Inbound:
    """The call as plain values. A body over the limit is refused (413) before more than the limit of it is read."""
    return Inbound(
        method=request.method,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=request.args.to_dict(),
        body=request.get_data(cache=False),
        received_at_ms=now_ms(),
    )


@receive.before_request
def _start_the_clock() -> None:
    flask.g.began = time.perf_counter()


@receive.after_request
def _count(response: flask.Response) -> flask.Response:
    platform = flask.g.get("platform", "unknown")  # never what stood in the address: anybody can invent those
    WEBHOOKS.labels(platform, str(response.status_code)).inc()
    if "began" in flask.g:
        WEBHOOK_SECONDS.labels(platform).observe(time.perf_counter() - flask.g.began)
    return response
