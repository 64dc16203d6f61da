"""Probes of the models that are configured: whether their provider still lists them, and until when."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from mindbot_tasks.alerting.probes.context import Context, found, timed
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.http import Patience
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import catalogue
from mindbot_tasks.llm.listing import Caller, Listed, is_listed
from mindbot_tasks.stores.alert_probes import Finding

_PATIENCE = Patience(connect_s=3, first_byte_s=10, gap_s=5)
_NO_LIST = (404, 405)


def providers_with_models(settings: Settings) -> list[str]:
    """Those whose models can go: Dify's apps have no names of models, and models of this machine stay."""
    return [
        name
        for name, provider in settings.providers.items()
        if provider.enabled
        and provider.models
        and not catalogue.why_not(name, provider)
        and catalogue.kind_of(name, provider) not in ("dify", *catalogue.LOCAL)
    ]


def models(context: Context) -> Finding:
    """One call for the list, and what MindBot's own catalogue knows of vendors' announcements.

    Lists of gateways leave out much that is served all the same, so only what was listed once can be missing.
    """
    name = context.subject
    provider = context.settings.providers[name]
    listed: tuple[Listed, ...] | None = None

    def ask() -> None:
        nonlocal listed
        try:
            listed = Caller(name, provider, patience=_PATIENCE).models(context.deadline)
        except FarSideError as exc:
            if exc.status not in _NO_LIST:
                raise

    call = timed(ask)
    vendor = catalogue.vendor_for(name, provider)
    seen = set(context.memory.get("seen", ()))
    before = context.row["readings"] or {}
    left: dict[str, float] = {}
    there: dict[str, Any] = {}
    for model in provider.models:
        about = f"{name}/{model.name}"
        entry = is_listed(model.name, listed or ())
        if entry is not None:
            seen.add(model.name)
        if listed and model.name in seen:
            there[about] = float(entry is not None)
        elif about in (before.get("model_listed") or {}):  # nothing new is known of it
            there[about] = before["model_listed"][about]
        gone = vendor.gone(model.name) if vendor else None
        day = entry.shutdown if entry is not None and entry.shutdown else gone.on if gone is not None else None
        if day is not None:
            left[about] = _seconds_until(day, context.now)
        elif gone is not None and entry is None:  # since some day in the past
            left[about] = 0.0
    configured = {model.name for model in provider.models}
    return found(call, {"model_left": left, "model_listed": there}, {"seen": sorted(seen & configured)})


def _seconds_until(day: date, now: int) -> float:
    return max(0.0, datetime.combine(day, time(), UTC).timestamp() - now / 1000)
