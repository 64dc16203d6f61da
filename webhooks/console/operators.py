"""The console: who gets in, in which language, and what all of its pages have in common.

Pages are whole without a script; htmx asks for the part `#live` again every few seconds and puts in what has changed.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import flask
from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue

from mindbot_tasks.core.words import Lang, is_said, say
from webhooks import access, errors
from webhooks.console import words

operators = APIBlueprint(
    "operators", __name__, enable_openapi=False, url_prefix="/console", template_folder="templates"
)

#: stands in a page for what is only known when the page is
_SEEN = "__seen__"
_OPEN_TO_ALL = frozenset({"operators.sign_in_page", "operators.sign_in"})


@operators.before_request
def _only_operators() -> ResponseReturnValue | None:
    """To strangers there is no console where nobody could sign in; else they are asked to."""
    if not access.console_reachable():
        return errors.error(404, "not_found", "There is nothing here.")
    if flask.request.args.get("lang") in words.LANGUAGES:
        flask.session["language"] = flask.request.args["lang"]
    found = access.operator()
    flask.g.operator = found
    if found is not None or flask.request.endpoint in _OPEN_TO_ALL:
        return None
    place = flask.url_for("operators.sign_in_page", next=flask.request.path)
    if flask.request.headers.get("HX-Request"):  # a page that is open; it goes there as a whole
        return "", 401, {"HX-Redirect": place}
    return flask.redirect(place, 303)


def language() -> Lang:
    """Of the reader."""
    configured = access.settings().language
    return cast(Lang, words.choose(flask.session.get("language"), configured, flask.request.accept_languages))


def tell(key: str, **fields: object) -> str:
    """A sentence of these pages."""
    return say(f"console.{key}", language(), **fields)


def word(group: str, name: str) -> str:
    """The word for a kind or a state; what has none stands as it is."""
    key = f"console.{group}_{name}"
    return say(key, language()) if is_said(key) else name


def page(template: str, **given: Any) -> ResponseReturnValue:
    """A page, or nothing where the reader has it already: htmx says by `seen` what it has."""
    from flask_wtf.csrf import generate_csrf  # here, because it loads a form library

    token = generate_csrf()
    others = {name: value for name, value in flask.request.args.items() if name not in ("lang", "seen")}
    html = flask.render_template(
        template, language=language(), t=tell, word=word, operator=flask.g.operator, seen=_SEEN, csrf=token,
        here=flask.request.path, arguments=others, **given,
    )  # fmt: skip
    seen = hashlib.sha256(html.replace(token, "").encode()).hexdigest()[:16]
    if flask.request.args.get("seen") == seen and flask.request.headers.get("HX-Request"):
        return "", 204
    response = flask.make_response(html.replace(_SEEN, seen))
    response.headers["Vary"] = "Accept-Language, Cookie, HX-Request"
    return response


def back(place: str, message: str, *, well: bool = True) -> ResponseReturnValue:
    """Where a form leads to, with a word about what it did."""
    flask.flash(message, "good" if well else "bad")
    return flask.redirect(place, 303)


@operators.get("/")
def home() -> ResponseReturnValue:
    """What people look at first."""
    return flask.redirect(flask.url_for("operators.open_alerts"), 303)


@operators.get("/sign-in")
def sign_in_page() -> ResponseReturnValue:
    """A key, please."""
    if flask.g.operator is not None:
        return flask.redirect(_where_to(), 303)
    return page("sign_in.html", next=_where_to(), wrong="")


@operators.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Look at the key; tries are counted by `webhooks.api.limits`."""
    form = flask.request.form
    if access.sign_in(form.get("key", ""), form.get("name", "")):
        return flask.redirect(_where_to(), 303)
    return flask.make_response(page("sign_in.html", next=_where_to(), wrong=tell("sign_in_wrong")), 403)


def too_often(_limit: object) -> flask.Response:
    """Instead of looking at yet another key."""
    flask.g.setdefault("operator", None)
    return flask.make_response(page("sign_in.html", next=_where_to(), wrong=tell("too_often")), 429)


@operators.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Forget the key."""
    access.sign_out()
    return flask.redirect(flask.url_for("operators.sign_in_page"), 303)


@operators.post("/name")
def rename() -> ResponseReturnValue:
    """How this person is called in the history."""
    access.call_operator(flask.request.form.get("name", ""))
    return flask.redirect(_where_to(), 303)


def _where_to() -> str:
    """The page that was asked for, if it is one of ours."""
    wanted = flask.request.values.get("next", "")
    ours = wanted.startswith("/console/") and not set(wanted) & set("\\\r\n\t") and "//" not in wanted
    return wanted if ours else flask.url_for("operators.open_alerts")
