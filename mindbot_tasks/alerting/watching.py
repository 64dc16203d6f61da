"""How the watchdog looks at this installation: broker, database, workers, beat and web, each on its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import redis
import structlog

from mindbot_tasks.alerting import escalation, rules
from mindbot_tasks.alerting.watchdog import Look
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError
from mindbot_tasks.core.http import get_http
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.model.alert import Severity
from mindbot_tasks.stores import alerts, workers
from mindbot_tasks.stores.alerts import Opening
from mindbot_tasks.stores.database import reading, transaction

log = structlog.get_logger(__name__)

#: a part may be unwell for so long before anybody is told: a restart or a deployment is no outage
GRACE_S: Final = 30.0
#: workers say every two seconds that they live; beat asks for rules to be judged every five
SILENT_S: Final = 40.0


def looks(settings: Settings) -> Mapping[str, tuple[Look, float]]:
    """Part -> how to look at it, and how long it may be unwell."""
    found: dict[str, tuple[Look, float]] = {
        "broker": (lambda: broker(settings), GRACE_S),
        "database": (database, GRACE_S),
        "workers": (workers_live, GRACE_S),
        "beat": (lambda: _younger("beat"), GRACE_S),
        "alerts": (lambda: _younger("judge"), GRACE_S),
    }
    if url := web_url(settings):
        found["web"] = (lambda: web(url), GRACE_S)
    return found


def broker(settings: Settings) -> bool:
    """Whether it answers; of RabbitMQ only whether somebody listens, for more would need Celery's library."""
    url = settings.broker_url.get_secret_value() or settings.redis_url.get_secret_value()
    if url.startswith(("amqp://", "amqps://")):
        parts = urlsplit(url)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 5672), timeout=3).close()
        except OSError:
            return False
        return True
    try:
        client = redis.Redis.from_url(
            url.replace("redis+socket://", "unix://"), socket_connect_timeout=2, socket_timeout=2
        )
        with client:
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False


def database() -> bool:
    """Whether it answers a question."""
    try:
        with reading() as connection:
            workers.database_time(connection)
    except DatabaseUnavailable:
        return False
    return True


def workers_live() -> bool | None:
    """Whether any worker lives. Of a queue that nobody serves the rule `no_worker` speaks, while workers judge."""
    try:
        with reading() as connection:
            silent = workers.silent_ms(connection)
    except DatabaseUnavailable:
        return None
    return None if silent is None else silent < SILENT_S * 1000


def _younger(duty: str) -> bool | None:
    """Whether a duty was taken up lately: "beat" by what beat asks for, "judge" by any worker of the queue alerts."""
    try:
        with reading() as connection:
            age_ms = workers.duty_age_ms(connection, duty)
            silent_ms = workers.silent_ms(connection)
    except DatabaseUnavailable:
        return None
    if age_ms is None:  # never: workers that live without it have been forgotten by whoever started them
        return False if silent_ms is not None and silent_ms < SILENT_S * 1000 else None
    return age_ms < SILENT_S * 1000


def web_url(settings: Settings) -> str:
    """What to ask; "" where no web side runs on this machine and nobody said where it is."""
    manager = settings.alert_manager
    if manager is not None and manager.watch_web:
        return manager.watch_web
    port = os.environ.get("MINDBOT_WEB_PORT") or os.environ.get("PORT", "")
    return f"http://127.0.0.1:{port}/livez" if port.isdigit() and int(port) else ""


def web(url: str) -> bool:
    """Whether it says that it lives."""
    try:
        return get_http().request("GET", url, deadline=Deadline(4)).ok
    except FarSideError:
        return False


def pulse(settings: Settings) -> None:
    """Tell the address of the dead man's switch that all is well. Never raises."""
    manager = settings.alert_manager
    if manager is None or not manager.heartbeat_url:
        return
    try:
        get_http().request("GET", manager.heartbeat_url, deadline=Deadline(4))
    except FarSideError as exc:
        log.warning("heartbeat_not_taken", kind=exc.kind)


def remember(settings: Settings, past: Sequence[Mapping[str, Any]]) -> bool:
    """Write outages that are over into the history of alerts; False while the database is away."""
    manager = settings.alert_manager
    if manager is None:
        return True
    try:
        with transaction() as connection:
            for one in past:
                name = f"watchdog_{one['part']}"
                rule = rules.plain(name, Severity.CRITICAL, manager)
                since, until = int(one["since"] * 1000), int(one["until"] * 1000)
                opening = Opening(
                    rule=name, fingerprint=alerts.fingerprint_of(name, str(since)), severity=Severity.CRITICAL,
                    component=str(one["part"]), summary=f"{one['part']} was away for {(until - since) // 1000} s",
                    members={str(one["part"]): since}, readings={}, policy=escalation.freeze(rule, manager, {}),
                    source="watchdog", cooldown_ms=0,
                )  # fmt: skip
                alert_id, _ = alerts.open_or_refresh(connection, opening, now=since)
                if one["told_at"]:
                    alerts.note(
                        connection, alert_id, name, "told", now=int(one["told_at"] * 1000), actor="watchdog",
                        text=f"{one['told']} level(s)",
                    )  # fmt: skip
                alerts.resolve(connection, alert_id, by="watchdog", now=until)
    except DatabaseUnavailable:
        return False
    return True
