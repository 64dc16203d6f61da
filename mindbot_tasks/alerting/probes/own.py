"""Probes that the configuration describes: HTTP, TCP and SQL."""

from __future__ import annotations

import socket
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from mindbot_tasks.alerting.probes.context import Context, found, timed
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.http import get_http, refuse
from mindbot_tasks.core.settings import ProbeSettings
from mindbot_tasks.stores.alert_probes import Finding
from mindbot_tasks.stores.database import open_engine, reading


def own(context: Context) -> Finding:
    """Do what its section says."""
    manager = context.settings.alert_manager
    assert manager is not None  # noqa: S101 - or there were no probes
    wanted = manager.probes[context.subject]
    value: list[float | None] = [None]

    def ask() -> None:
        value[0] = {"http": _http, "tcp": _tcp, "sql": _sql}[wanted.type](wanted, context)

    call = timed(ask)
    readings: dict[str, float | None] = {"check_response_time": call.took_ms, "check_value": value[0]}
    if wanted.alert:
        readings["check_failed"] = float(context.failures(ok=call.ok))
    return found(call, readings)


def _http(wanted: ProbeSettings, context: Context) -> float | None:
    response = get_http().request("GET", wanted.url, deadline=context.deadline)
    right = response.status == wanted.expect_status if wanted.expect_status else response.ok
    if not right:
        if response.ok:
            raise Rejected("another status was expected", kind="protocol", status=response.status)
        refuse(response)
    if wanted.expect_text and wanted.expect_text not in response.body.decode("utf-8", "replace"):
        raise Rejected("the expected text is missing", kind="content", status=response.status)
    return _number_at(response.json(), wanted.value) if wanted.value else None


def _number_at(body: Any, path: str) -> float:
    """Raises Rejected where there is none."""
    here = body
    for key in path.split("."):
        if isinstance(here, list) and key.isdigit() and int(key) < len(here):
            here = here[int(key)]
        elif isinstance(here, dict) and key in here:
            here = here[key]
        else:
            raise Rejected("there is nothing at this path", kind="content")
    try:
        return float(here)
    except (TypeError, ValueError):
        raise Rejected("there is no number at this path", kind="content") from None


def _tcp(wanted: ProbeSettings, context: Context) -> None:
    try:
        socket.create_connection(
            (wanted.host, wanted.port or 0), timeout=max(0.1, context.deadline.remaining_s())
        ).close()
    except OSError as exc:
        raise Unavailable("no connection", kind="connection", code=type(exc).__name__) from None


def _sql(wanted: ProbeSettings, context: Context) -> float | None:
    url = wanted.database_url.get_secret_value()
    engine = open_engine(url, pool_size=1, statement_timeout_s=wanted.timeout) if url else None
    try:
        with reading(engine) as connection:
            first = connection.execute(text(wanted.query)).scalar()
            connection.rollback()  # it is a question, whatever it says
    except SQLAlchemyError as exc:
        raise Rejected("the statement does not work", kind="invalid_request", code=type(exc).__name__) from None
    finally:
        if engine is not None:
            engine.dispose()
    try:
        return None if first is None else float(first)
    except (TypeError, ValueError):
        raise Rejected("its first value is no number", kind="content") from None
