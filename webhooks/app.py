"""The Flask application: which doors, pages and headers there are. Importing it loads no model, no vector store."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from typing import Any

import flask
import structlog
from apiflask import APIFlask
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.middleware.proxy_fix import ProxyFix

from mindbot_tasks.app import only_publish
from mindbot_tasks.core import cycles
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.settings.listeners import listeners
from mindbot_tasks.stores.database import answer_within
from webhooks import errors, headers, health, receipts, receive
from webhooks.alerts import alerts
from webhooks.api import api
from webhooks.api.limits import limit_calls
from webhooks.bodies import Call
from webhooks.console import console, operators, protect_from_forgery
from webhooks.own_ports import OwnPorts

log = structlog.get_logger(__name__)


def create_app(settings: Settings | None = None) -> APIFlask:
    """The web side, ready to serve. Raises SettingsError where it would not be safe to."""
    settings = settings or get_settings()
    only_publish()
    answer_within(settings.times.webhook_s * 2 / 3)
    app = _App(
        "webhooks",
        title="MindBot",
        version="1",
        spec_path="/api/v1/openapi.json",
        docs_path=None,
        json_errors=False,
        static_folder=None,  # type: ignore[arg-type]
    )
    app.request_class = Call
    app.config.update(
        SECRET_KEY=_session_key(settings),
        SESSION_COOKIE_NAME="mindbot_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.web.public_url.startswith("https://"),
        MAX_CONTENT_LENGTH=settings.web.max_body_bytes,
        WTF_CSRF_TIME_LIMIT=None,
        DESCRIPTION="Messages of MindBot: where each is, what happened to it, and its answer.",
        SECURITY_SCHEMES={"key": {"type": "http", "scheme": "bearer", "description": "One of `web.api_keys`."}},
        VALIDATION_ERROR_STATUS_CODE=422,
        VALIDATION_ERROR_SCHEMA=errors.SCHEMA,
        HTTP_ERROR_SCHEMA=errors.SCHEMA,
        MINDBOT=settings,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.session_interface = _Sessions()
    if settings.web.trusted_proxies:
        hops = settings.web.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.spec_processor(_with_required_bodies)
    web_port = int(os.environ.get("PORT") or settings.web.port)
    if own := listeners(settings, web_port=web_port):
        app.wsgi_app = OwnPorts(app.wsgi_app, own)  # type: ignore[method-assign]
    errors.register(app)
    headers.register(app)
    app.register_blueprint(receive.receive)
    app.register_blueprint(receipts.receipts)
    app.register_blueprint(health.health)
    app.register_blueprint(api)
    app.register_blueprint(console)
    app.register_blueprint(operators)
    app.register_blueprint(alerts)
    protect_from_forgery(app, exempt=[receive.receive, receipts.receipts, api, alerts])
    limit_calls(app, api, settings)
    cycles.seldom()
    return app


class _App(APIFlask):
    """Nothing of ours is a coroutine: Flask need not look at each function that a request comes by."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


class _Sessions(SecureCookieSessionInterface):
    """Flask's own, but whoever brings no cookie, as every webhook, is not made to wait for keys being derived."""

    def open_session(self, app: flask.Flask, request: flask.Request) -> SecureCookieSession | None:
        if self.get_cookie_name(app) in request.cookies or not app.secret_key:
            return super().open_session(app, request)
        return self.session_class()


def _with_required_bodies(description: Any) -> Any:
    """APIFlask leaves out that a body which is described must be there."""
    for operations in description["paths"].values():
        for operation in operations.values():
            if "requestBody" in operation:
                operation["requestBody"]["required"] = True
    return description


def _session_key(settings: Settings) -> bytes:
    """The key that signs session cookies: not the secret key itself, so that the one does not give away the other."""
    secret = settings.secret_key.get_secret_value()
    if not secret:
        if settings.production:
            raise SettingsError(
                "set MINDBOT_SECRET_KEY: in production mode sessions must be signed with a key of yours"
            )
        log.warning("secret_key_missing", effect="sessions end with this process and the playground is off")
        secret = secrets.token_hex(32)
    return hashlib.sha256(b"mindbot session cookies\0" + secret.encode()).digest()
