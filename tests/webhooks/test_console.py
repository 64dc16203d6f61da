"""The operators' console: who gets in, what its buttons do, and what a person sees in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import flask
import flask.testing
import pytest
from sqlalchemy import select, update
from werkzeug.serving import make_server

from mindbot_tasks.stores import alerts, silences, workers
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.tables_alerts import AlertRow
from tests.alerting.world import settings as alert_settings
from tests.webhooks.conftest import API_KEY, Configure
from tests.webhooks.test_alerts import fire
from webhooks.api import limits
from webhooks.app import create_app

ELSEWHERE = {"REMOTE_ADDR": "203.0.113.7"}


def row_of(code: str) -> Any:
    with reading() as connection:
        return alerts.by_code(connection, code)


def token_in(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found
    return found[1]


def press(client: flask.testing.FlaskClient, place: str, **fields: str) -> Any:
    """What a form of the page sends."""
    token = token_in(client.get("/console/alerts").text)
    return client.post(place, data={"csrf_token": token, **fields})


@pytest.fixture
def app(configure: Configure) -> flask.Flask:
    return create_app(configure(alert_manager=alert_settings()))


def test_at_this_machine_nobody_has_to_sign_in(app: flask.Flask) -> None:
    client, code = app.test_client(), fire()
    page = client.get("/console/alerts")
    assert (page.status_code, code in page.text, "<b>bad</b>" in page.text) == (200, True, False)


@pytest.mark.parametrize(
    ("web", "changes", "environ", "status"),
    [
        ({}, {"production": True}, {}, 303),
        ({}, {}, ELSEWHERE, 303),
        ({}, {}, {"HTTP_X_FORWARDED_FOR": "203.0.113.7"}, 303),
        ({}, {}, {"HTTP_HOST": "rebound.example"}, 303),
        ({"public_url": "https://bot.example.com"}, {}, {}, 303),
        ({"api_keys": []}, {"production": True}, {}, 404),
        ({"api_keys": []}, {}, ELSEWHERE, 404),
        ({"console": False}, {}, {}, 404),
    ],
)  # fmt: skip
def test_everybody_else_signs_in_where_that_is_possible(
    configure: Configure, web: dict[str, Any], changes: dict[str, Any], environ: dict[str, str], status: int
) -> None:
    client = create_app(configure(web=web, **changes)).test_client()
    code = fire()
    places = ("/console/", "/console/alerts", f"/console/alerts/{code}", "/console/history", "/console/silences",
              "/console/checks")  # fmt: skip
    for place in places:
        response = client.get(place, environ_overrides=environ)
        assert response.status_code == status, place
        assert "dify_api_down" not in response.text
    assert row_of(code)["state"] == "firing"


@pytest.mark.parametrize("key", ["", " ", "wrong", API_KEY[:-1], "é" * 40])
def test_a_key_that_does_not_hold_opens_nothing(configure: Configure, key: str) -> None:
    client = create_app(configure(production=True)).test_client()
    token = token_in(client.get("/console/sign-in").text)
    assert client.post("/console/sign-in", data={"csrf_token": token, "key": key}).status_code == 403
    assert client.get("/console/alerts").status_code == 303


def test_who_signs_in_stays_until_they_sign_out_or_the_key_is_gone(configure: Configure) -> None:
    app = create_app(configure(production=True, alert_manager=alert_settings()))
    client, code = app.test_client(), fire()
    token = token_in(client.get("/console/sign-in").text)
    fields = {"csrf_token": token, "key": API_KEY, "name": "Ann", "next": "https://evil.example/"}
    done = client.post("/console/sign-in", data=fields)
    assert (done.status_code, done.location) == (303, "/console/alerts")
    assert API_KEY not in str(client.get_cookie("mindbot_session"))
    assert press(client, f"/console/alerts/{code}/acknowledge").status_code == 303
    assert (row_of(code)["acknowledged_by"], row_of(code)["acknowledged_via"]) == ("Ann", "console")
    assert client.get("/api/v1/alerts").status_code == 401, "a cookie is no key of the API"

    app.config["MINDBOT"] = app.config["MINDBOT"].model_copy(
        update={"web": app.config["MINDBOT"].web.model_copy(update={"api_keys": []})}
    )
    assert client.get("/console/alerts").status_code == 404


def test_a_session_ends_after_half_a_day_and_by_signing_out(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = create_app(configure(production=True)).test_client()
    token = token_in(client.get("/console/sign-in").text)
    client.post("/console/sign-in", data={"csrf_token": token, "key": API_KEY})
    assert client.get("/console/alerts").status_code == 200
    with client.session_transaction() as session:
        session["operator"] = {**session["operator"], "since": session["operator"]["since"] - 13 * 3_600_000}
    assert client.get("/console/alerts").status_code == 303
    poll = client.get("/console/alerts", headers={"HX-Request": "true"})
    assert (poll.status_code, poll.headers["HX-Redirect"]) == (401, "/console/sign-in?next=/console/alerts")
    client.post("/console/sign-in", data={"csrf_token": token, "key": API_KEY})
    assert press(client, "/console/sign-out").status_code == 303
    assert client.get("/console/alerts").status_code == 303


def test_keys_cannot_be_guessed_quickly(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.SIGN_INS == "10 per minute"
    monkeypatch.setattr(limits, "SIGN_INS", "10 per hour")  # a minute may be over before 25 tries are
    client = create_app(configure(production=True)).test_client()
    token = token_in(client.get("/console/sign-in").text)
    told = [
        client.post(
            "/console/sign-in", data={"csrf_token": token, "key": f"guess {n}"},
            environ_overrides={"REMOTE_ADDR": "198.51.100.23"},
        ).status_code
        for n in range(25)
    ]  # fmt: skip
    assert told == [403] * 10 + [429] * 15


def test_another_site_cannot_press_the_buttons(app: flask.Flask) -> None:
    client, code = app.test_client(), fire()
    for place in (f"alerts/{code}/acknowledge", f"alerts/{code}/silence", f"alerts/{code}/resolve", "silences",
                  "silences/1/end", "name", "sign-out", "sign-in"):  # fmt: skip
        assert client.post(f"/console/{place}").status_code == 400, place
    assert row_of(code)["state"] == "firing"


def test_of_two_who_acknowledge_the_second_hears_who_was_quicker(app: flask.Flask) -> None:
    ann, bob, code = app.test_client(), app.test_client(), fire()
    press(ann, "/console/name", name="  Ann\n ")
    press(bob, "/console/name", name="Bob")
    press(ann, f"/console/alerts/{code}/acknowledge")
    late = press(bob, f"/console/alerts/{code}/acknowledge", **{"from": "alert"})
    assert late.location == f"/console/alerts/{code}"
    assert "already (Ann)" in bob.get(late.location).text
    assert row_of(code)["acknowledged_by"] == "Ann"


def test_silences_of_an_alert_of_its_rule_and_of_anything(app: flask.Flask) -> None:
    client, code = app.test_client(), fire()
    press(client, f"/console/alerts/{code}/silence", scope="alert", span="30m")
    press(client, f"/console/alerts/{code}/silence", scope="rule", span="4h", comment="=1+1 <i>upgrade</i>")
    press(client, "/console/silences", component="db*", severity="high", maintenance="on", **{"from": "silences"})
    press(client, "/console/silences", rule=" ", comment="everything?")
    with reading() as connection:
        now = workers.database_time(connection)
        made = silences.current(connection, now=now)
    assert [one["matchers"] for one in made] == [{"code": code}, {"rule": "dify_api_down"},
                                                 {"component": "db*", "severity": "high"}]  # fmt: skip
    assert [round((one["ends_at"] - one["starts_at"]) / 60_000) for one in made] == [30, 240, 60]
    page = client.get("/console/silences").text
    assert "<i>upgrade" not in page
    press(client, f"/console/silences/{made[0]['id']}/end")
    with reading() as connection:
        assert len(silences.current(connection, now=workers.database_time(connection))) == 2


def test_only_what_no_rule_closes_is_closed_by_hand(app: flask.Flask) -> None:
    client, code = app.test_client(), fire()
    press(client, f"/console/alerts/{code}/resolve")
    assert row_of(code)["state"] == "firing"
    with transaction() as connection:
        connection.execute(update(AlertRow).values(source="test"))
    press(client, f"/console/alerts/{code}/resolve")
    assert row_of(code)["state"] == "resolved"
    assert code in client.get("/console/history").text
    assert client.get(f"/console/alerts/{code}").status_code == 200


@pytest.mark.parametrize("place", ["/console/alerts/NOPE", "/console/history?before=9x", "/console/history?rule=%00"])
def test_strange_addresses_do_no_harm(app: flask.Flask, place: str) -> None:
    assert app.test_client().get(place).status_code in (200, 303)


def test_a_page_that_has_not_changed_is_not_sent_again(app: flask.Flask) -> None:
    client, code = app.test_client(), fire()
    seen = re.search(r"seen=([0-9a-f]{16})", client.get("/console/silences").text)
    assert seen
    again = client.get(f"/console/silences?seen={seen[1]}", headers={"HX-Request": "true"})
    assert (again.status_code, again.data) == (204, b"")
    press(client, f"/console/alerts/{code}/silence", scope="rule", span="1h")
    client.get("/console/alerts")  # the word about it was read
    assert client.get(f"/console/silences?seen={seen[1]}", headers={"HX-Request": "true"}).status_code == 200


# ---- in a browser


@pytest.fixture
def address(app: flask.Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.mark.browser
@pytest.mark.enable_socket
def test_a_person_sees_an_alert_come_and_takes_care_of_it(address: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine")
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(locale="zh-CN", viewport={"width": 390, "height": 844}, color_scheme="dark")
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("request", lambda call: None if call.url.startswith(address) else complaints.append(call.url))
        page.goto(f"{address}/console/")
        page.get_by_text("当前没有告警").wait_for()
        code = fire()  # while somebody watches
        card = page.locator(f"#alert-{code}")
        card.wait_for()
        page.wait_for_function("document.title.startsWith('(1)')")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        card.get_by_role("button", name="确认").click()
        page.get_by_text("已由您确认").wait_for()
        page.locator(f"#alert-{code}.acknowledged").wait_for()  # a page is parsed in pieces: its top may be there first
        assert page.evaluate("scrollY") == 0, "the word about it can be seen"
        page.locator(".code").first.click()
        page.locator(".timeline .acknowledged").wait_for()
        browser.close()
    assert complaints == []
    with reading() as connection:
        (row,) = connection.execute(select(AlertRow.state, AlertRow.acknowledged_by, AlertRow.acknowledged_via))
    assert tuple(row) == ("acknowledged", "console", "console")
