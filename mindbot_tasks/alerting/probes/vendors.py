"""Probes of others' servers: Dify apps, model providers, platforms, certificates."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr

from mindbot_tasks.alerting.probes.context import FEWEST, Context, found, timed
from mindbot_tasks.core.alert_metrics import CONNECTED, DISCONNECTED
from mindbot_tasks.core.errors import FarSideError, Throttled
from mindbot_tasks.core.http import Patience, get_http, refuse
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import catalogue, listing
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import Examined
from mindbot_tasks.platforms.condition import Condition, conditions
from mindbot_tasks.stores import performance
from mindbot_tasks.stores.alert_probes import Finding

_PATIENCE = Patience(connect_s=3, first_byte_s=10, gap_s=5)
_DIFY_PATHS = ("/chat-messages", "/completion-messages", "/workflows/run")
_DIFY_CLOUD = "https://api.dify.ai/v1"
#: Dify has a probe of its own, and models of this machine answer nobody else
_ASKED_OTHERWISE = frozenset({"dify", *catalogue.LOCAL})
#: a connection that is being made is not lost yet
_CONNECTING_S = 20.0
#: nor is one that begins anew because its process was started again, by a person, a deployment or a remedy
_GONE_MS = 15_000
#: the share of failed checks is that of so many
_LAST_CHECKS = 5


def _get(context: Context, url: str, headers: Mapping[str, str]) -> None:
    response = get_http().request("GET", url, deadline=context.deadline, headers=headers, patience=_PATIENCE)
    if not response.ok:
        refuse(response)


def dify_base(endpoint: str) -> str:
    """The address below which Dify's service API lives."""
    base = endpoint.rstrip("/")
    for path in _DIFY_PATHS:
        base = base.removesuffix(path)
    return base


def dify_endpoints(settings: Settings) -> dict[str, tuple[str, SecretStr]]:
    """Every Dify app that is on: name -> base address and key."""
    apps: dict[str, tuple[str, SecretStr]] = {}
    for name, workflow in settings.workflows.items():
        if not workflow.enabled:
            continue
        places = [(name, workflow.dify_endpoint, workflow.dify_api_key)]
        for number, more in enumerate(workflow.endpoints, 2):
            called = f"{name}/{more.name or number}"
            places.append((called, more.endpoint or workflow.dify_endpoint, more.api_key or workflow.dify_api_key))
        apps |= {called: (dify_base(endpoint), key) for called, endpoint, key in places if key is not None}
    for name, provider in settings.providers.items():
        if provider.enabled and catalogue.kind_of(name, provider) == "dify" and provider.api_key is not None:
            apps[f"provider:{name}"] = (dify_base(provider.base_url or _DIFY_CLOUD), provider.api_key)
    return apps


def dify(context: Context) -> Finding:
    """GET /info, which costs nothing (Dify service API, read 2026-11-20)."""
    base, key = dify_endpoints(context.settings)[context.subject]
    call = timed(lambda: _get(context, f"{base}/info", {"Authorization": f"Bearer {key.get_secret_value()}"}))
    checks = [*context.memory.get("checks", ()), int(call.ok)][-_LAST_CHECKS:]
    # calls apart from checks: while a breaker keeps calls away only checks fail, and calls before would hide them
    name = context.subject.partition("/")[0]
    calls = performance.lately(name if ":" in name else f"workflow:{name}")
    readings = {
        "dify_health_check_failed": float(context.failures(ok=call.ok)),
        "dify_error_rate": max(1 - sum(checks) / len(checks), (calls.calls - calls.ok) / max(calls.calls, FEWEST)),
        # a time-out tells how slow it is; a connection that is refused tells nothing, however quickly
        "dify_response_time": None if call.kind == "connection" else call.took_ms,
    }
    return found(call, readings, {"checks": checks})


def providers(settings: Settings) -> list[str]:
    """Those that have something to ask for."""
    return [
        name
        for name, provider in settings.providers.items()
        if provider.enabled
        and not catalogue.why_not(name, provider)
        and catalogue.kind_of(name, provider) not in _ASKED_OTHERWISE
    ]


def provider(context: Context) -> Finding:
    """The cheapest call that needs the key. One that has no such list, or no time, is there."""
    name = context.subject
    caller = listing.Caller(name, context.settings.providers[name], patience=_PATIENCE)

    def ask() -> None:
        try:
            caller.ping(context.deadline)
        except Throttled:
            return
        except FarSideError as exc:
            if exc.status not in (404, 405):
                raise

    call = timed(ask)
    return found(call, {"provider_check_failed": float(context.failures(ok=call.ok))})


def platforms(settings: Settings) -> list[tuple[str, str]]:
    """Bots whose platform can be asked."""
    return [place for place in registry.enabled(settings) if place[1] != registry.PLAYGROUND and place[0] != "chat"]


def platform(context: Context) -> Finding:
    """What the adapter itself calls to see whether its credentials hold."""
    name, _, bot = context.subject.partition(":")

    def ask() -> None:
        made = registry.FACTORIES[name](bot, context.settings)
        if isinstance(made, Examined):
            made.examine(context.deadline)

    call = timed(ask)
    return found(call, {"platform_check_failed": float(context.failures(ok=call.ok))})


def connections(context: Context) -> Finding:
    """How each bot is, as everybody who holds a connection says."""
    every = conditions(context.settings)
    dingtalk: dict[str, str] = {}
    others: dict[str, str] = {}
    gone_since: dict[str, int] = {}
    for one in every:
        state = _state(one)
        if state == DISCONNECTED:
            since = gone_since[_name(one)] = int(context.memory.get("gone", {}).get(_name(one), context.now))
            before = (context.row["readings"] or {}).get(_metric(one), {}).get(_name(one))
            if context.now - since < _GONE_MS and before != DISCONNECTED:
                state = before
        if state is not None:
            (dingtalk if _metric(one) == "dingtalk_connection_status" else others)[_name(one)] = state
    return Finding(
        True,
        readings={
            "dingtalk_connection_status": dict(dingtalk),
            "connection_status": dict(others),
            "platform_ok": {_name(one): float(one.ok) for one in every if one.connection in ("online", "not_needed")},
            "platform_token_left": {_name(one): one.token_left_s for one in every if one.token_left_s is not None},
            "platform_inbound_age": {_name(one): one.last_inbound_s for one in every if one.last_inbound_s is not None},
        },
        memory={"gone": gone_since},
    )


def _metric(one: Condition) -> str:
    return "dingtalk_connection_status" if one.platform == "dingtalk" else "connection_status"


def _name(one: Condition) -> str:
    return f"{one.platform}:{one.bot}"


def _state(one: Condition) -> str | None:
    """None: there is nothing to say of it, or it has only begun."""
    if one.connection == "not_needed":
        return None
    if one.connection == "online":
        return CONNECTED
    if one.connection == "connecting" and (one.connection_since_s or 0.0) < _CONNECTING_S:
        return None
    return DISCONNECTED


def secure_hosts(settings: Settings) -> list[tuple[str, int]]:
    """Every host that is spoken to by https, with our own public one."""
    urls = [settings.web.public_url, *(base for base, _ in dify_endpoints(settings).values())]
    urls += [provider.base_url for provider in settings.providers.values() if provider.enabled]
    places = []
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            places.append((parts.hostname, parts.port or 443))
    return sorted(set(places))


def certificates(context: Context) -> Finding:
    """How long each certificate is still good. One that does not hold even now has no time left."""
    left: dict[str, float] = {}
    errors = []
    for host, port in secure_hosts(context.settings):
        try:
            left[host] = _seconds_left(host, port, min(5.0, context.deadline.remaining_s()))
        except ssl.SSLCertVerificationError as exc:
            left[host] = 0.0
            errors.append(f"{host}: {exc.verify_message}")
        except (OSError, ValueError) as exc:
            errors.append(f"{host}: {type(exc).__name__}")  # other probes say that a server is away
        if context.deadline.remaining_s() <= 0:
            break
    return Finding(not errors, error="; ".join(errors), readings={"certificate_left": left})


def _seconds_left(host: str, port: int, timeout_s: float) -> float:
    with (
        socket.create_connection((host, port), timeout=max(0.1, timeout_s)) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secure,
    ):
        until = dict(secure.getpeercert() or {}).get("notAfter")
    if not isinstance(until, str):
        raise ValueError("the certificate says nothing")
    return ssl.cert_time_to_seconds(until) - time.time()
