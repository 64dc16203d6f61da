"""Alerts over HTTP: the API, and the page behind the link."""

from __future__ import annotations

import flask
import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from mindbot_tasks.alerting import answering, escalation
from mindbot_tasks.alerting.rules import plain
from mindbot_tasks.model.alert import Severity
from mindbot_tasks.stores import alerts, workers
from mindbot_tasks.stores.alerts import Opening
from mindbot_tasks.stores.database import transaction
from mindbot_tasks.stores.tables_alerts import AlertEventRow, AlertRow
from tests.alerting.world import settings
from tests.webhooks.conftest import Configure
from tests.webhooks.test_api import KEY
from webhooks.app import create_app


@pytest.fixture
def app(configure: Configure) -> flask.Flask:
    return create_app(configure(secret_key=SecretStr("s3cret")))


def fire() -> str:
    manager = settings()
    rule = plain("dify_api_down", Severity.HIGH, manager)
    policy = escalation.freeze(rule, manager, {})
    with transaction() as connection:
        opening = Opening(rule.name, alerts.fingerprint_of(rule.name), rule.severity, "chat", "<b>bad</b>", {"chat": 1},
                          {}, policy)  # fmt: skip
        alert_id, _ = alerts.open_or_refresh(connection, opening, now=workers.database_time(connection))
        row = alerts.by_id(connection, alert_id)
    assert row is not None
    return str(row["code"])


def test_alerts_are_listed_shown_and_acknowledged_once(app: flask.Flask) -> None:
    client, code = app.test_client(), fire()
    assert client.get("/api/v1/alerts").status_code == 401
    (listed,) = client.get("/api/v1/alerts", headers=KEY).get_json()["alerts"]
    assert (listed["code"], listed["state"], listed["members"]) == (code, "firing", ["chat"])
    done = client.post(f"/api/v1/alerts/{code.lower()}/acknowledge", headers=KEY, json={"by": "Ann"})
    assert (done.status_code, done.get_json()["acknowledged_by"]) == (200, "Ann")
    assert [one["kind"] for one in done.get_json()["history"]] == ["opened", "acknowledged"]
    assert client.post(f"/api/v1/alerts/{code}/acknowledge", headers=KEY, json={}).status_code == 409
    assert client.get("/api/v1/alerts/XXXX", headers=KEY).status_code == 404
    assert client.get("/api/v1/alerts?state=firing", headers=KEY).get_json()["alerts"] == []


def test_what_no_rule_closes_is_closed_once_and_what_a_rule_closes_is_not(app: flask.Flask) -> None:
    client, code = app.test_client(), fire()
    refused = client.post(f"/api/v1/alerts/{code}/resolve", headers=KEY, json={})
    assert (refused.status_code, refused.get_json()["error"]["reason"]) == (409, "not_by_hand")
    with transaction() as connection:
        connection.execute(update(AlertRow).values(source="drill"))
    assert client.post(f"/api/v1/alerts/{code}/resolve", json={}).status_code == 401
    done = client.post(f"/api/v1/alerts/{code}/resolve", headers=KEY, json={"by": "Ann"}).get_json()
    assert (done["state"], [one["actor"] for one in done["history"]]) == ("resolved", ["", "Ann"])
    assert client.post(f"/api/v1/alerts/{code}/resolve", headers=KEY, json={}).status_code == 409
    assert client.post("/api/v1/alerts/XXXX/resolve", headers=KEY, json={}).status_code == 404


def test_silences_are_made_listed_and_ended(app: flask.Flask) -> None:
    client = app.test_client()
    wanted = {"matchers": {"rule": "dify_*"}, "lasts_s": 7200, "starts_in_s": 60, "comment": "upgrade", "by": "Ann"}
    made = client.post("/api/v1/silences", headers=KEY, json=wanted)
    assert (made.status_code, made.get_json()["author"]) == (201, "Ann")
    silence = made.get_json()
    assert silence["ends_at"] - silence["starts_at"] == 7_200_000
    assert client.get("/api/v1/silences", headers=KEY).get_json()["silences"] == [silence]
    assert client.post("/api/v1/silences/1/end", headers=KEY, json={}).get_json()["ends_at"] < silence["ends_at"]
    assert client.post("/api/v1/silences/1/end", headers=KEY, json={}).status_code == 404
    assert client.get("/api/v1/silences", headers=KEY).get_json()["silences"] == []
    assert client.get("/api/v1/silences").status_code == 401
    with transaction() as connection:
        told = connection.execute(select(AlertEventRow.kind, AlertEventRow.actor, AlertEventRow.note)).all()
    assert [tuple(one) for one in told] == [
        ("silenced", "Ann", "1: rule=dify_*"), ("silence ended", told[1].actor, "1"),
    ]  # fmt: skip
    assert told[1].actor.startswith("key "), "the name of the key stands in the history, never the key"


@pytest.mark.parametrize(
    "body",
    [{}, {"matchers": {}}, {"matchers": {"rule": "x"}, "lasts_s": 1}, {"matchers": {"rule": 7}}, {"matchers": "all"}],
)
def test_everything_is_not_silenced_by_a_slip_of_the_hand(app: flask.Flask, body: dict[str, object]) -> None:
    client = app.test_client()
    assert client.post("/api/v1/silences", headers=KEY, json=body).status_code in (400, 422)
    assert client.get("/api/v1/silences", headers=KEY).get_json()["silences"] == []
    whole = client.post("/api/v1/silences", headers=KEY, json={"maintenance": True, "lasts_s": 1800})
    assert (whole.status_code, whole.get_json()["matchers"]) == (201, {})


def test_a_link_asks_before_it_acknowledges(app: flask.Flask) -> None:
    client, code = app.test_client(), fire()
    url = answering.link("http://localhost", "s3cret", code).removeprefix("http://localhost")
    page = client.get(url)
    assert page.status_code == 200
    assert "<b>bad</b>" not in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert client.get("/api/v1/alerts?state=firing", headers=KEY).get_json()["alerts"], "a preview changes nothing"
    assert client.post(url).status_code == 200
    assert client.post(url).status_code == 409
    assert client.get("/api/v1/alerts?state=acknowledged", headers=KEY).get_json()["alerts"]


@pytest.mark.parametrize("key", ["", "x", "0" * 32])
def test_a_link_that_mindbot_did_not_write_does_nothing(app: flask.Flask, key: str) -> None:
    client, code = app.test_client(), fire()
    assert client.get(f"/alerts/{code}/acknowledge?key={key}").status_code == 404
    assert client.post(f"/alerts/{code}/acknowledge?key={key}").status_code == 404
    assert client.get("/api/v1/alerts?state=firing", headers=KEY).get_json()["alerts"]
