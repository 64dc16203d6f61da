"""Calls that bring no message but a bell: kept before they are acknowledged, however they come."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import flask.testing
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from emulators.wecom.callbacks import App, verification
from emulators.wecom.kf_bell import bell_of, post_of
from mindbot_tasks import chains
from mindbot_tasks.core.settings import Settings, WeComCsSettings
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.tables import FeedRow, OccurrenceRow
from tests.webhooks.conftest import Configure
from webhooks.app import create_app

CORPID, TOKEN, KEY = "wwmindbot0000001", "mindbotToken", "MindBotEmulatorKey0123456789abcdefghijklmno"
APP = App(TOKEN, KEY, CORPID)
DOOR = "/webhooks/wecomcs"


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    ids: list[int] = []
    monkeypatch.setattr(chains, "collect", lambda feed_id: bool(ids.append(feed_id)) or True)
    return ids


def settings(configure: Configure, **changes: object) -> Settings:
    bot = WeComCsSettings(corpid=CORPID, secret=SecretStr("s"), token=SecretStr(TOKEN), encoding_aes_key=SecretStr(KEY))
    return configure(wecomcs={"default": bot}, **changes)


@pytest.fixture
def client(configure: Configure, rung: list[int]) -> flask.testing.FlaskClient:
    return create_app(settings(configure)).test_client()


def call(message: str, *, at: float | None = None) -> dict[str, Any]:
    query, body = post_of(message, APP, at=at)
    return {"query_string": query, "data": body, "content_type": "text/xml"}


def feeds() -> list[Any]:
    with reading() as connection:
        return list(connection.execute(select(FeedRow.__table__)))


def test_a_bell_is_kept_and_somebody_is_sent(client: flask.testing.FlaskClient, rung: list[int]) -> None:
    answer = client.post(DOOR, **call(bell_of(APP, "wk1", "ENC-1")))
    assert (answer.status_code, answer.data) == (200, b"")
    (feed,) = feeds()
    assert (feed.feed, feed.token, feed.rung, feed.served) == ("wk1", "ENC-1", 1, 0)
    assert rung == [feed.id]


def test_two_bells_of_one_second_are_two(client: flask.testing.FlaskClient, rung: list[int]) -> None:
    now = time.time()
    for token in ("ENC-1", "ENC-2"):
        answer = client.post(DOOR, **call(bell_of(APP, "wk1", token, at=now), at=now))
        assert answer.status_code == 200
    (feed,) = feeds()
    assert (feed.token, feed.rung) == ("ENC-2", 2)
    assert len(rung) == 2


def test_each_account_has_a_feed_of_its_own(client: flask.testing.FlaskClient, rung: list[int]) -> None:
    for account in ("wk1", "wk2"):
        client.post(DOOR, **call(bell_of(APP, account, "ENC")))
    assert [feed.feed for feed in feeds()] == ["wk1", "wk2"]


def test_the_url_is_verified(client: flask.testing.FlaskClient) -> None:
    query = verification(APP, "1616140317555161061")
    answer = client.get(f"{DOOR}?{query}")
    assert (answer.status_code, answer.data) == (200, b"1616140317555161061")
    assert answer.content_type.startswith("text/plain")
    assert client.get(f"{DOOR}?{query[:-12]}AAAAAAAA%3D%3D").status_code == 401


@pytest.mark.parametrize("body", [b"", b"<xml/>", b"{}", b"\xff", b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>'])
def test_what_is_no_envelope_is_refused_and_not_asked_for_again(client: flask.testing.FlaskClient, body: bytes) -> None:
    assert client.post(DOOR, data=body).status_code in (400, 401)
    assert feeds() == []


def test_another_event_is_kept(client: flask.testing.FlaskClient) -> None:
    xml = "<xml><Event>kf_account_auth_change</Event><AuthAddOpenKfId>wk1</AuthAddOpenKfId></xml>"
    for _ in range(2):
        assert client.post(DOOR, **call(xml)).status_code == 200
    with reading() as connection:
        (kept,) = connection.execute(select(OccurrenceRow.__table__))
    assert kept.kind == "kf_account_auth_change"
    assert kept.data["AuthAddOpenKfId"] == "wk1"


def test_without_a_database_the_bell_must_come_again(configure: Configure, rung: list[int], tmp_path: Path) -> None:
    nowhere = SecretStr("sqlite:////dev/null/nowhere.db")
    client = create_app(settings(configure, database_url=nowhere)).test_client()
    assert client.post(DOOR, **call(bell_of(APP, "wk1", "ENC"))).status_code == 503
    assert rung == []
