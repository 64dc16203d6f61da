"""Readiness says whether a message can go all the way, and if not, why."""

from __future__ import annotations

import gc

import flask.testing
import pytest
from pydantic import SecretStr

from mindbot_tasks.app import app
from mindbot_tasks.core.settings import ChromaSettings, DingTalkSettings
from mindbot_tasks.readiness import NEEDED, Check, judge, state
from mindbot_tasks.stores import connections, knowledge_state
from mindbot_tasks.stores.health import HealthSnapshot
from mindbot_tasks.stores.knowledge_state import KnowledgeState
from tests.webhooks.conftest import API_KEY, Configure
from webhooks.app import create_app

UP = Check(True, "answers")


def healthy(**changes: object) -> HealthSnapshot:
    values: dict[str, object] = {
        "canary_age_s": dict.fromkeys(NEEDED, 3.0),
        "sweep_age_s": 2.0,
        "oldest_unstarted_s": None,
        "unfinished": {},
        "workers": 2,
        "served": frozenset(NEEDED),
    }
    return HealthSnapshot(**(values | changes))  # type: ignore[arg-type]


def test_garbage_is_looked_for_again_once_everything_is_loaded(configure: Configure) -> None:
    gc.set_threshold(1_000_000)
    create_app(configure())
    assert gc.get_threshold()[0] <= 20_000


def test_a_healthy_system_is_ready() -> None:
    assert judge(healthy(), broker=UP).ready


@pytest.mark.parametrize(
    ("changes", "check", "says"),
    [
        ({"canary_age_s": {}}, "queue generate", "no canary has come through yet"),
        ({"canary_age_s": dict.fromkeys(NEEDED, 99.0)}, "queue reply", "99 s old, more than 35"),
        ({"served": frozenset(), "canary_age_s": {}}, "queue classify", "no living worker"),
        ({"served": frozenset((*NEEDED, "ingest"))}, "queue ingest", "no canary has come through yet"),
        ({"sweep_age_s": None}, "sweeper", "nobody has swept yet"),
        ({"oldest_unstarted_s": 300.0}, "oldest unstarted message", "300 s old, more than 60"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, object], check: str, says: str) -> None:
    readiness = judge(healthy(**changes), broker=UP)
    assert not readiness.ready
    assert not readiness.checks[check].ok
    assert says in readiness.checks[check].reason


def test_a_broker_that_is_down_is_named() -> None:
    readiness = judge(healthy(), broker=Check(False, "does not answer"))
    assert not readiness.ready
    assert not readiness.checks["broker"].ok


def test_alive_does_not_mean_ready(client: flask.testing.FlaskClient) -> None:
    assert client.get("/livez").status_code == 200
    response = client.get("/readyz")  # nobody works here
    assert response.status_code == 503
    checks = response.get_json()["checks"]
    assert checks["database"]["ok"]
    assert checks["broker"]["ok"]
    assert not checks["queue generate"]["ok"]


def test_readiness_survives_a_missing_database_and_broker(configure: Configure) -> None:
    client = create_app(
        configure(database_url=SecretStr("sqlite:////dev/null/no.db"), redis_url=SecretStr("redis://127.0.0.1:1/0"))
    ).test_client()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert not response.get_json()["checks"]["database"]["ok"]
    assert not response.get_json()["checks"]["broker"]["ok"]
    assert client.get("/metrics").status_code == 200


def test_a_broker_of_its_own_is_asked_itself(
    configure: Configure, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, ok in ((redis_url, True), ("redis://127.0.0.1:1/0", False)):
        client = create_app(configure(broker_url=SecretStr(url))).test_client()
        monkeypatch.setattr(app.conf, "broker_url", url)
        assert client.get("/readyz").get_json()["checks"]["broker"]["ok"] is ok


def test_metrics_show_calls_and_the_ledger_but_no_invented_platform(client: flask.testing.FlaskClient) -> None:
    client.post("/webhooks/chat", data=b"{}")
    client.post("/webhooks/invented-name", data=b"{}")
    page = client.get("/metrics").text
    assert 'mindbot_webhooks_total{platform="chat",status="401"}' in page
    assert 'mindbot_webhooks_total{platform="unknown",status="404"}' in page
    assert "invented-name" not in page
    assert "mindbot_ready 0.0" in page
    assert "mindbot_workers 0.0" in page


def test_a_bot_without_its_connection_shows_and_makes_nothing_unready(configure: Configure) -> None:
    bot = DingTalkSettings(client_id="a", client_secret=SecretStr("b"), mode="stream")
    client = create_app(configure(dingtalk={"sales": bot})).test_client()
    body = client.get("/readyz").get_json()
    shown = {one["bot"]: one for one in body["platforms"] if one["platform"] == "dingtalk"}
    assert (shown["sales"]["ok"], shown["sales"]["connection"]) == (False, "no_data")
    assert not [name for name in body["checks"] if "dingtalk" in name]
    assert 'mindbot_platform_connected{bot="sales",platform="dingtalk"} 0.0' in client.get("/metrics").text

    connections.publish("dingtalk", "sales", "online", "2 of 2 connections")
    state.forget()
    shown = {one["bot"]: one for one in client.get("/readyz").get_json()["platforms"]}
    assert (shown["sales"]["ok"], shown["sales"]["connection"]) == (True, "online")
    assert 'mindbot_platform_connected{bot="sales",platform="dingtalk"} 1.0' in client.get("/metrics").text
    (api,) = (
        one
        for one in client.get("/api/v1/platforms", headers={"Authorization": f"Bearer {API_KEY}"}).get_json()[
            "platforms"
        ]
        if one["bot"] == "sales"
    )
    assert api["connection_detail"] == "2 of 2 connections"


def test_the_state_of_bots_is_not_for_the_playground(client: flask.testing.FlaskClient) -> None:
    client.get("/")
    assert client.get("/api/v1/platforms").status_code == 404


def test_a_trouble_of_the_knowledge_base_shows_and_makes_nothing_unready(configure: Configure) -> None:
    assert create_app(configure()).test_client().get("/readyz").get_json()["knowledge"] is None
    client = create_app(configure(chromadb=ChromaSettings())).test_client()
    state.forget()
    body = client.get("/readyz").get_json()
    assert (body["knowledge"]["ok"], body["knowledge"]["reason"]) == (False, "nobody looks after it")
    assert not [name for name in body["checks"] if "knowledge" in name]
    knowledge_state.tell(KnowledgeState(True, "answers", pieces=12))
    state.forget()
    assert client.get("/readyz").get_json()["knowledge"]["pieces"] == 12
    assert "mindbot_knowledge_ok 1.0" in client.get("/metrics").text
