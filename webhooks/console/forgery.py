"""Every request of a page that changes something carries a token of that page."""

from __future__ import annotations

from collections.abc import Iterable

import flask

from webhooks.errors import error


def protect_from_forgery(app: flask.Flask, *, exempt: Iterable[flask.Blueprint]) -> None:
    """Ask for the token everywhere but in `exempt`, whose callers show signatures or keys instead of cookies."""
    from flask_wtf.csrf import CSRFError, CSRFProtect  # here, because it loads a form library

    protect = CSRFProtect(app)
    app.register_error_handler(CSRFError, lambda _: error(400, "csrf", "This page is out of date; reload it."))
    for blueprint in exempt:
        protect.exempt(blueprint)
