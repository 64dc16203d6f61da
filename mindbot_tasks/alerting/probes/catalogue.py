"""Which probes this configuration has, how often each runs, and the function behind each kind."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Final

import structlog

from mindbot_tasks.alerting.probes import machinery, messages, models, own, vendors
from mindbot_tasks.alerting.probes.context import Context, Probe
from mindbot_tasks.core.alert_metrics import PLUGIN_PREFIX
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.stores.alert_probes import Finding, Plan

log = structlog.get_logger(__name__)

#: packages bring probes under this entry point: name -> a function from Settings to {metric: number or text}
PLUGINS: Final = "mindbot.probes"
HOUR_MS = 3_600_000

#: kind -> what it does; the kind "broker" belongs to the stage, which may speak with the broker
KINDS: Final[Mapping[str, Probe]] = {
    "machine": machinery.machine,
    "database": machinery.database,
    "redis": machinery.redis_server,
    "queues": machinery.queues,
    "flower": machinery.flower,
    "vector_store": machinery.vector_store,
    "web": machinery.web,
    "messages": messages.messages,
    "answers": messages.answers,
    "budgets": messages.budgets,
    "notifications": messages.notifications,
    "connections": vendors.connections,
    "platform": vendors.platform,
    "dify": vendors.dify,
    "provider": vendors.provider,
    "models": models.models,
    "certificates": vendors.certificates,
    "own": own.own,
    "plugin": lambda context: _plugin(context),
}


def plans(settings: Settings) -> list[Plan]:
    """Every probe that makes sense here."""
    manager = settings.alert_manager
    if manager is None or not manager.enabled:
        return []
    every_ms = int(manager.health_check_interval * 1000)
    quick_ms = min(every_ms, 10_000)

    def plan(name: str, kind: str, subject: str = "", interval_ms: int = every_ms, timeout_ms: int = 5_000) -> Plan:
        return Plan(name[:160], kind, subject[:160], interval_ms, timeout_ms)

    found = [
        plan("machine", "machine"),
        plan("database", "database", interval_ms=quick_ms),
        plan("redis", "redis"),
        plan("broker", "broker", interval_ms=quick_ms),
        plan("queues", "queues", interval_ms=quick_ms),
        plan("messages", "messages", interval_ms=quick_ms),
        plan("answers", "answers"),
        plan("notifications", "notifications"),
        plan("connections", "connections", interval_ms=quick_ms),
    ]
    if settings.budgets.installation.limited or settings.budgets.bot.limited:
        found.append(plan("budgets", "budgets", interval_ms=max(every_ms, 60_000)))
    if machinery.flower_url(settings):
        found.append(plan("flower", "flower"))
    if settings.chromadb is not None:
        found.append(plan("vector_store", "vector_store"))
    if manager.watch_web:
        found.append(plan("web", "web"))
    if vendors.secure_hosts(settings):
        found.append(plan("certificates", "certificates", interval_ms=6 * HOUR_MS, timeout_ms=60_000))
    found += [plan(f"dify:{name}", "dify", name, timeout_ms=10_000) for name in vendors.dify_endpoints(settings)]
    found += [plan(f"provider:{name}", "provider", name, timeout_ms=10_000) for name in vendors.providers(settings)]
    found += [
        plan(f"models:{name}", "models", name, interval_ms=6 * HOUR_MS, timeout_ms=20_000)
        for name in models.providers_with_models(settings)
    ]
    found += [
        plan(f"platform:{name}:{bot}", "platform", f"{name}:{bot}", max(every_ms, 300_000), 10_000)
        for name, bot in vendors.platforms(settings)
    ]
    found += [
        plan(f"own:{name}", "own", name, int((probe.interval or every_ms / 1000) * 1000), int(probe.timeout * 1000))
        for name, probe in manager.probes.items()
        if probe.enabled
    ]
    found += [plan(f"plugin:{name}", "plugin", name) for name in plugins()]
    return found


@functools.cache
def plugins() -> Mapping[str, Any]:
    """What other packages bring, by name."""
    return {point.name: point for point in entry_points(group=PLUGINS)}


def _plugin(context: Context) -> Finding:
    try:
        told = plugins()[context.subject].load()(context.settings)
        readings = {f"{PLUGIN_PREFIX}{name}": _value(value) for name, value in dict(told).items()}
    except Exception as exc:  # other people's code
        log.exception("probe_plugin_failed", probe=context.subject)
        return Finding(False, error=type(exc).__name__)
    return Finding(True, readings=readings)


def _value(value: Any) -> float | str:
    return value if isinstance(value, str) else float(value)
