"""The console's pages about alerts: what fires, what happened, silences, checks; and the buttons on them."""

from __future__ import annotations

from typing import Final

import flask
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from mindbot_tasks.alerting import acting
from mindbot_tasks.alerting.figures import duration, moment
from mindbot_tasks.alerting.present import is_stale
from mindbot_tasks.model.alert import Severity
from mindbot_tasks.stores import alert_probes, alerts, history, outbox, silences, workers
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.records import Record
from webhooks import access
from webhooks.console.alerts_shown import Card, Check, card, check, worst_first
from webhooks.console.operators import back, language, operators, page, tell

#: how long a silence may be, in milliseconds
SPANS: Final = {"30m": 1_800_000, "1h": 3_600_000, "4h": 14_400_000, "12h": 43_200_000, "1d": 86_400_000,
                "3d": 259_200_000, "7d": 604_800_000}  # fmt: skip
_MOST_OPEN = 100
_PAGE = 50
_FIGURES_OF_MS = 30 * 86_400_000
_MATCHED = ("rule", "component", "severity", "code")


def zone() -> str:
    """That of alert_manager."""
    manager = access.settings().alert_manager
    return manager.timezone if manager else "UTC"


def _on() -> bool:
    manager = access.settings().alert_manager
    return manager is not None and manager.enabled


def _cards(connection: Connection, rows: list[Record], *, now: int) -> list[Card]:
    notices = outbox.of_alerts(connection, [row["id"] for row in rows])
    return [card(row, notices.get(row["id"], ()), (), zone=zone(), lang=language(), now=now) for row in rows]


def _checks(connection: Connection, *, now: int) -> list[Check]:
    order = {"unwell": 0, "stale": 1, "never": 2, "well": 3}
    found = [check(row, stale=is_stale(row, now=now), lang=language(), now=now)
             for row in alert_probes.every(connection)]  # fmt: skip
    return sorted(found, key=lambda one: (order[one.state], one.name))


@operators.get("/alerts")
def open_alerts() -> ResponseReturnValue:
    """What is not over: what it is about, who was told, and what happens next."""
    with reading() as connection:
        now = workers.database_time(connection)
        rows = alerts.open_alerts(connection)
        cards = _cards(connection, worst_first(rows)[:_MOST_OPEN], now=now)
        checks = _checks(connection, now=now)
        last = [row["resolved_at"] for row in history.listed(connection, state="resolved", limit=1)]
    firing = sum(row["state"] == "firing" for row in rows)
    return page(
        "alerts_open.html", cards=cards, total=len(rows), firing=firing, on=_on(), spans=list(SPANS),
        bad=[one for one in checks if one.state in ("unwell", "stale")],
        well=sum(one.state == "well" for one in checks),
        last_over=duration((now - last[0]) // 60_000 * 60_000) if last and last[0] else "",
    )  # fmt: skip


@operators.get("/alerts/<code>")
def one_alert(code: str) -> ResponseReturnValue:
    """Everything about one: figures, who was told by which vendor, and all that happened."""
    with reading() as connection:
        now = workers.database_time(connection)
        row = alerts.by_code(connection, code)
        if row is None:
            return back(flask.url_for(".open_alerts"), tell("unknown"), well=False)
        shown = card(
            row, outbox.of_alert(connection, row["id"]), history.of(connection, row["id"]), zone=zone(),
            lang=language(), now=now,
        )  # fmt: skip
    return page("alert.html", card=shown, spans=list(SPANS))


@operators.get("/history")
def past_alerts() -> ResponseReturnValue:
    """All alerts, newest first, and how the rules did lately."""
    rule = flask.request.args.get("rule", "")[:80]
    before = flask.request.args.get("before", "")
    before_id = int(before) if before.isdigit() and len(before) < 16 else None
    with reading() as connection:
        now = workers.database_time(connection)
        rows = history.listed(connection, rule=rule, limit=_PAGE + 1, before_id=before_id)
        figures = history.noisiest(connection, since=now - _FIGURES_OF_MS)
        cards = _cards(connection, rows[:_PAGE], now=now)
    return page(
        "alerts_history.html", cards=cards, rule=rule, figures=figures, duration=duration,
        older=rows[_PAGE - 1]["id"] if len(rows) > _PAGE else None, newest=before_id is not None,
    )  # fmt: skip


@operators.get("/checks")
def all_checks() -> ResponseReturnValue:
    """Every probe, what is unwell first."""
    with reading() as connection:
        checks = _checks(connection, now=workers.database_time(connection))
    return page("checks.html", checks=checks)


@operators.get("/silences")
def all_silences() -> ResponseReturnValue:
    """Those that hold now or later, and the windows of the configuration."""
    manager = access.settings().alert_manager
    with reading() as connection:
        now = workers.database_time(connection)
        rows = silences.current(connection, now=now)
    shown = [
        {
            **{name: row[name] for name in ("id", "author", "comment", "maintenance", "matchers")},
            "begins": moment(row["starts_at"], zone()) if row["starts_at"] > now else "",
            "ends": moment(row["ends_at"], zone()),
        }
        for row in rows
    ]
    return page(
        "silences.html", silences=shown, windows=manager.maintenance if manager else {}, spans=list(SPANS),
        severities=[one.value for one in Severity],
    )  # fmt: skip


# the buttons


@operators.post("/alerts/<code>/acknowledge")
def acknowledge(code: str) -> ResponseReturnValue:
    """Somebody takes care; of several who press it one wins."""
    return _told(acting.acknowledge(code, by=flask.g.operator.name, via="console"), "done_acknowledged")


@operators.post("/alerts/<code>/silence")
def silence_alert(code: str) -> ResponseReturnValue:
    """This alert, or its rule, tells nobody for a while."""
    row = acting.find(code)
    if row is None:
        return _told(None, "")
    whole = flask.request.form.get("scope") == "rule"
    return _silence({"rule": row["rule"]} if whole else {"code": row["code"]}, maintenance=False)


@operators.post("/alerts/<code>/resolve")
def resolve(code: str) -> ResponseReturnValue:
    """Only of what no rule closes again: tests, drills, and what the watchdog told."""
    return _told(acting.resolve(code, by=flask.g.operator.name), "done_resolved")


def _told(outcome: acting.Outcome | None, done: str) -> ResponseReturnValue:
    """Back to where the button was, with what became of it."""
    if outcome is None:
        return back(_return(), tell("unknown"), well=False)
    row = outcome.alert
    if outcome.result == "not_by_hand":
        return back(_return(), tell("not_by_hand", code=row["code"]), well=False)
    if outcome.result == "late":
        late = tell("done_late", code=row["code"], state=tell(row["state"]), by=outcome.by or "?")
        return back(_return(), late, well=False)
    return back(_return(), tell(done, code=row["code"]))


@operators.post("/silences")
def add_silence() -> ResponseReturnValue:
    """Whatever matches tells nobody for a while."""
    form = flask.request.form
    matchers = {name: form.get(name, "").strip()[:160] for name in _MATCHED}
    return _silence({name: value for name, value in matchers.items() if value}, maintenance="maintenance" in form)


@operators.post("/silences/<int:silence_id>/end")
def end_silence(silence_id: int) -> ResponseReturnValue:
    """It is over now; whoever ended it stands in the history."""
    acting.end_silence(silence_id, by=flask.g.operator.name)
    return back(flask.url_for(".all_silences"), tell("done_ended", id=silence_id))


def _silence(matchers: dict[str, str], *, maintenance: bool) -> ResponseReturnValue:
    form = flask.request.form
    made = acting.silence(
        matchers, by=flask.g.operator.name, lasts_ms=SPANS.get(form.get("span", ""), SPANS["1h"]),
        comment=form.get("comment", "").strip(), maintenance=maintenance,
    )  # fmt: skip
    if made is None:
        return back(_return(), tell("silence_what"), well=False)
    return back(_return(), tell("done_silenced", id=made["id"], until=moment(made["ends_at"], zone())))


def _return() -> str:
    """The page on which the button was."""
    wanted = flask.request.form.get("from", "")
    if wanted == "silences":
        return flask.url_for(".all_silences")
    code = (flask.request.view_args or {}).get("code", "")
    return flask.url_for(".one_alert", code=code) if wanted == "alert" else flask.url_for(".open_alerts")
