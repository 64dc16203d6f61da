"""The page behind the link in an alert: look first, then press the button, for programs look at links, too."""

from __future__ import annotations

import html

import flask
from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue

from mindbot_tasks.alerting import answering
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.stores import alerts as store
from mindbot_tasks.stores import workers
from mindbot_tasks.stores.database import reading, transaction
from webhooks import access

alerts = APIBlueprint("alerts", __name__, enable_openapi=False)

_PAGE = (
    '<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    '<title>MindBot</title><link rel="stylesheet" href="/console/static/playground.css">'
    '<link rel="stylesheet" href="/console/static/console.css"></head>'
    '<body class="console"><main class="console"><section class="sheet narrow"><h1>MindBot</h1>{body}'
    "</section></main></body></html>"
)


def _lang() -> Lang:
    wanted = access.settings().language
    if wanted in ("en", "zh"):
        return "zh" if wanted == "zh" else "en"
    return "zh" if flask.request.accept_languages.best_match(["en", "zh"]) == "zh" else "en"


def _page(body: str, status: int = 200) -> ResponseReturnValue:
    response = flask.make_response(_PAGE.format(lang=_lang(), body=body), status)
    response.headers["Referrer-Policy"] = "no-referrer"  # the address is the key
    response.headers["Cache-Control"] = "no-store"
    return response


def _holds(code: str) -> bool:
    secret = access.settings().secret_key.get_secret_value()
    return answering.holds(secret, store.normal_code(code), flask.request.args.get("key", ""))


@alerts.get("/alerts/<code>/acknowledge")
def ask(code: str) -> ResponseReturnValue:
    """What is about to be acknowledged."""
    if not _holds(code):
        return _page(f"<p>{say('alerts.page_unknown', _lang())}</p>", 404)
    with reading() as connection:
        row = store.by_code(connection, code)
    if row is None:
        return _page(f"<p>{say('alerts.page_unknown', _lang())}</p>", 404)
    button = html.escape(say("alerts.page_button", _lang()))
    summary = html.escape(f"{row['rule']}: {row['summary']} ({row['state']})")
    badge = f'<span class="severity {row["severity"]}">{row["severity"]}</span>'
    asked = html.escape(say("alerts.page_ask", _lang(), code=row["code"]))
    return _page(
        f'<p>{badge} {summary}</p><form method="post" class="stack"><p>{asked}</p>'
        f'<button type="submit" class="button strong">{button}</button></form>'
    )


@alerts.post("/alerts/<code>/acknowledge")
def acknowledge(code: str) -> ResponseReturnValue:
    """Somebody takes care. The key in the address is the proof; no cookie is looked at."""
    if not _holds(code):
        return _page(f"<p>{say('alerts.page_unknown', _lang())}</p>", 404)
    with transaction() as connection:
        now = workers.database_time(connection)
        won = answering.acknowledge(connection, code, by="link", via="link", now=now)
    words = say("alerts.page_done" if won else "alerts.page_late", _lang(), code=store.normal_code(code))
    return _page(f"<p>{html.escape(words)}</p>", 200 if won else 409)
