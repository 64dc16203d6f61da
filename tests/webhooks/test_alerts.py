"""Alerts over HTTP: the API, and the page behind the link."""

from __future__ import annotations

import flask
import pytest
from pydantic import SecretStr

from mindbot_tasks.alerting import answering, escalation
from mindbot_tasks.alerting.rules import plain
from mindbot_tasks.model.alert import Severity
from mindbot_tasks.stores import alerts, workers
from mindbot_tasks.stores.alerts import Opening
from mindbot_tasks.stores.database import transaction
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
