"""/api/v1/alerts and /api/v1/silences: what fires, what happened, and what people do about it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import flask
from apiflask import APIBlueprint
from pydantic import Field

from mindbot_tasks.alerting import acting
from mindbot_tasks.stores import alerts as store
from mindbot_tasks.stores import history, outbox, silences, workers
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.records import Record
from webhooks import access, errors
from webhooks.api.models import MAX_ID, View

Severity = Literal["critical", "high", "medium", "low"]
State = Literal["firing", "acknowledged", "resolved"]


class AlertSummary(View):
    """One alert."""

    id: int
    code: str = Field(description="short, for people to type")
    rule: str
    severity: Severity
    state: State
    component: str
    summary: str
    members: list[str] = Field(description="what it is about")
    level: int = Field(description="the level that was told last, 0: nobody yet")
    muted_by: str | None
    opened_at: int
    fired_at: int
    acknowledged_at: int | None
    acknowledged_by: str | None
    resolved_at: int | None


class AlertEventView(View):
    at: int
    kind: str
    actor: str
    note: str


class NoticeView(View):
    """Who was told; never the address."""

    event: str
    level: int
    recipient: str
    channel: str
    status: str
    notifier: str | None
    attempts: int
    accepted_at: int | None
    delivered_at: int | None
    cost: float | None
    currency: str | None
    error: str | None


class AlertView(AlertSummary):
    """With its history."""

    history: list[AlertEventView]
    notices: list[NoticeView]


class AlertPage(View):
    alerts: list[AlertSummary]
    next_before_id: int | None


class AlertQuery(View):
    """Which alerts."""

    state: Literal["open", "firing", "acknowledged", "resolved", ""] = "open"
    rule: str = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before_id: Annotated[int, Field(ge=1, le=MAX_ID)] | None = None


class AcknowledgeBody(View):
    by: Annotated[str, Field(max_length=160, description="a person; without it the name of the key")] = ""


class SilenceView(View):
    """Alerts that match tell nobody in that time."""

    id: int
    matchers: dict[str, str]
    starts_at: int
    ends_at: int
    author: str
    comment: str
    maintenance: bool


class SilenceList(View):
    silences: list[SilenceView]


Pattern = Annotated[str, Field(max_length=160)]


class SilenceBody(AcknowledgeBody):
    """What is to be silent, and for how long."""

    matchers: Annotated[dict[Pattern, Pattern], Field(
        max_length=20, description="label and pattern, with * and ?: rule, component, severity, code, or a rule's own"
    )] = {}  # fmt: skip
    lasts_s: Annotated[int, Field(ge=60, le=366 * 86_400)] = 3600
    starts_in_s: Annotated[int, Field(ge=0, le=366 * 86_400)] = 0
    comment: Annotated[str, Field(max_length=500)] = ""
    maintenance: bool = Field(default=False, description="people are told when it is over")


def add_to(api: APIBlueprint) -> None:
    """Put the addresses below /api/v1; only for programs with a key."""
    said = {401: "No valid API key", 403: "Not for the playground", 404: "No such alert", 503: "Database away"}
    kept = {status: words for status, words in said.items() if status != 404}

    @api.get("/alerts")
    @api.input(AlertQuery, location="query", arg_name="query")
    @api.output(AlertPage)
    @api.doc(summary="List alerts", description="Newest first; those that are open unless asked otherwise.",
             security="key", tags=["alerts"], responses=said)  # fmt: skip
    def list_alerts(query: AlertQuery) -> Any:
        """The newest alerts first."""
        if refused := _refused():
            return refused
        with reading() as connection:
            rows = history.listed(
                connection, state=query.state, rule=query.rule, limit=query.limit + 1, before_id=query.before_id
            )
        page = rows[: query.limit]
        return AlertPage(
            alerts=[AlertSummary(**_summary(row)) for row in page],
            next_before_id=page[-1]["id"] if len(rows) > query.limit else None,
        )

    @api.get("/alerts/<code>")
    @api.output(AlertView)
    @api.doc(summary="One alert", description="With its history, and who was told.", security="key", tags=["alerts"],
             responses=said)  # fmt: skip
    def get_alert(code: str) -> Any:
        """One alert with everything that happened."""
        return _refused() or _show(code)

    @api.post("/alerts/<code>/acknowledge")
    @api.input(AcknowledgeBody, arg_name="body")
    @api.output(AlertView)
    @api.doc(summary="Acknowledge an alert", description="Nobody else is called. Of several callers one wins.",
             security="key", tags=["alerts"], responses={**said, 409: "Acknowledged or resolved before"})  # fmt: skip
    def acknowledge_alert(code: str, body: AcknowledgeBody) -> Any:
        """Somebody takes care."""
        if refused := _refused():
            return refused
        return _done(code, acting.acknowledge(code, by=body.by or flask.g.caller.name, via="api"))

    @api.post("/alerts/<code>/resolve")
    @api.input(AcknowledgeBody, arg_name="body")
    @api.output(AlertView)
    @api.doc(summary="Close an alert that no rule closes",
             description="Of a test, a drill or the watchdog. Everything else is over when its condition is.",
             security="key", tags=["alerts"],
             responses={**said, 409: "Resolved before, or a rule closes it"})  # fmt: skip
    def resolve_alert(code: str, body: AcknowledgeBody) -> Any:
        """It is over."""
        if refused := _refused():
            return refused
        return _done(code, acting.resolve(code, by=body.by or flask.g.caller.name))

    @api.get("/silences")
    @api.output(SilenceList)
    @api.doc(summary="List silences", description="Those that hold now or later.", security="key", tags=["alerts"],
             responses=kept)  # fmt: skip
    def list_silences() -> Any:
        """Those that hold now or later."""
        if refused := _refused():
            return refused
        with reading() as connection:
            rows = silences.current(connection, now=workers.database_time(connection))
        return SilenceList(silences=[_silence(row) for row in rows])

    @api.post("/silences")
    @api.input(SilenceBody, arg_name="body")
    @api.output(SilenceView, status_code=201)
    @api.doc(summary="Silence alerts",
             description="Alerts that match are recorded and tell nobody for a while. A silence without matchers "
                         "holds for everything, and has to be maintenance.",
             security="key", tags=["alerts"], responses={**kept, 422: "Nothing to match, or out of range"})  # fmt: skip
    def add_silence(body: SilenceBody) -> Any:
        """Whatever matches tells nobody for a while."""
        if refused := _refused():
            return refused
        made = acting.silence(
            body.matchers, by=body.by or flask.g.caller.name, lasts_ms=body.lasts_s * 1000,
            starts_in_ms=body.starts_in_s * 1000, comment=body.comment, maintenance=body.maintenance,
        )  # fmt: skip
        if made is None:
            return errors.error(422, "invalid", "Say what is to be silent, or that it is maintenance.")
        return _silence(made)

    @api.post("/silences/<int:silence_id>/end")
    @api.input(AcknowledgeBody, arg_name="body")
    @api.output(SilenceView)
    @api.doc(summary="End a silence", description="Alerts that still fire tell people again.", security="key",
             tags=["alerts"], responses={**kept, 404: "There is none that goes on"})  # fmt: skip
    def end_silence(silence_id: int, body: AcknowledgeBody) -> Any:
        """It is over now."""
        if refused := _refused():
            return refused
        ended = acting.end_silence(silence_id, by=body.by or flask.g.caller.name) if silence_id <= MAX_ID else None
        return errors.error(404, "not_found", "There is no such silence.") if ended is None else _silence(ended)


def _done(code: str, outcome: acting.Outcome | None) -> Any:
    if outcome is not None and outcome.result == "late":
        return errors.error(409, "too_late", f"This alert is {outcome.alert['state']} already.")
    if outcome is not None and outcome.result == "not_by_hand":
        return errors.error(409, "not_by_hand", "This alert is over when its condition is; silence it instead.")
    return _show(code)


def _silence(row: Record) -> SilenceView:
    return SilenceView(**{name: row[name] for name in SilenceView.model_fields})


def _refused() -> flask.Response | None:
    caller: access.Caller = flask.g.caller
    if caller.conversation is not None:
        return errors.error(403, "forbidden", "Alerts are for callers with an API key.")
    return None


def _show(code: str) -> Any:
    with reading() as connection:
        row = store.by_code(connection, code)
        if row is None:
            return errors.error(404, "not_found", "There is no such alert.")
        happened = history.of(connection, row["id"])
        notices = outbox.of_alert(connection, row["id"])
    return AlertView(
        **_summary(row),
        history=[AlertEventView(**{name: one[name] for name in AlertEventView.model_fields}) for one in happened],
        notices=[NoticeView(**{name: one[name] for name in NoticeView.model_fields}) for one in notices],
    )


def _summary(row: Record) -> dict[str, Any]:
    levels = row["policy"].get("levels") or [0]
    level = levels[min(row["step"], len(levels)) - 1] if row["step"] else 0
    own = {name: row[name] for name in AlertSummary.model_fields if name not in ("members", "level")}
    return {**own, "members": sorted(row["members"]), "level": level}
