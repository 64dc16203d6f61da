"""The collector of traces: it is sent an empty batch, which every OTLP server takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from mindbot_tasks.cli.doctor.asking import CALL_S, PATIENCE
from mindbot_tasks.cli.doctor.finding import Finding, ok, warn
from mindbot_tasks.core import telemetry
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.http import get_http
from mindbot_tasks.core.settings import Settings

#: where OTLP over gRPC listens, which is no HTTP that we speak
_GRPC_PORT = 4317


def look_at_collector(settings: Settings) -> Iterator[Finding]:
    """Nothing of this keeps messages from being answered, so nothing fails."""
    traced = settings.telemetry
    if traced is None or not traced.on:
        return
    if not telemetry.is_installed():
        yield warn("telemetry", "no_exporter", "install_exporter")
        return
    headers = {**_given_headers(), **{name: value.get_secret_value() for name, value in traced.headers.items()}}
    headers["Content-Type"] = "application/x-protobuf"
    try:
        response = get_http().request(
            "POST", traced.address, headers=headers, body=b"", deadline=Deadline(CALL_S), patience=PATIENCE
        )
    except FarSideError as exc:
        advice = "not_grpc" if urlsplit(traced.address).port == _GRPC_PORT else "check_collector"
        yield warn("telemetry", "collector_away", advice, address=traced.address, why=exc)
        return
    if response.ok:
        yield ok("telemetry", "collector_fine", address=traced.address)
    else:
        yield warn("telemetry", "collector_refuses", "check_collector", address=traced.address, status=response.status)


def _given_headers() -> dict[str, str]:
    """OTEL_EXPORTER_OTLP_HEADERS and its special case for traces: name=value, separated by commas, percent-encoded."""
    given = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS") or ""
    pairs = (pair.partition("=") for pair in given.split(",") if "=" in pair)
    return {unquote(name).strip(): unquote(value).strip() for name, _, value in pairs}
