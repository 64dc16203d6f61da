"""How often one caller may ask the API. The webhooks have no such limit: a message refused is a message lost."""

from __future__ import annotations

from typing import Any, Final

import flask

from mindbot_tasks.core.settings import Settings
from webhooks import access
from webhooks.console.operators import too_often
from webhooks.receive import receive

SIGN_IN: Final = "operators.sign_in"
SIGN_INS: Final = "10 per minute"  #: of one address, so that keys cannot be guessed


def _address() -> str:
    return flask.request.remote_addr or ""


def _who() -> str:
    """One count for each key; strangers, and those who guess keys, are counted by address."""
    caller = access.caller()
    return caller.name if caller else flask.request.remote_addr or ""


def limit_calls(app: flask.Flask, api: flask.Blueprint, settings: Settings) -> None:
    """Count calls in Redis for all web processes together, and in this process while Redis is away."""
    limit = f"{settings.web.api_calls_per_minute} per minute"
    from flask_limiter import Limiter  # here, because it loads a console library

    class LimiterBesideDoors(Limiter):
        """Looks for no limits of webhooks: they have none, and would pay for the search."""

        def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
            if flask.request.blueprint != receive.name:
                super()._check_request_limit(callable_name, in_middleware)

    limiter = LimiterBesideDoors(
        _who,
        app=app,
        storage_uri=_storage(settings.redis_url.get_secret_value()),
        storage_options={"socket_connect_timeout": 0.5, "socket_timeout": 0.5},  # type: ignore[dict-item]
        strategy="fixed-window",
        key_prefix="mindbot:limit",
        headers_enabled=True,
        # no `in_memory_fallback` list: its limits would count for the webhooks too while Redis is away
        in_memory_fallback_enabled=True,
        swallow_errors=True,
    )
    limiter.limit(limit)(api)
    slowly: Any = limiter.limit(SIGN_INS, key_func=_address, on_breach=too_often)
    app.view_functions[SIGN_IN] = slowly(app.view_functions[SIGN_IN])


def _storage(redis_url: str) -> str:
    """The address in the words of the `limits` library, which wants another name for a socket."""
    return "redis+" + redis_url if redis_url.startswith("unix://") else redis_url
