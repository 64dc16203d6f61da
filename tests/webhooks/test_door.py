"""The door's status codes: 200 only after the commit, and a clear refusal for everything else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import flask.testing
import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import func, select

from mindbot_tasks import intake
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import AimSettings, ChatSettings
from mindbot_tasks.platforms import standard_webhooks
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.tables import MessageRow
from tests.slack import at_most
from tests.webhooks.conftest import CHAT_SECRET, Configure
from webhooks.app import create_app

HELLO = orjson.dumps({"type": "message.created", "data": {"text": "hello", "conversation_id": "c1", "user_id": "u1"}})


def signed(body: bytes, webhook_id: str = "msg_1", now_s: int | None = None) -> dict[str, str]:
    return standard_webhooks.sign([CHAT_SECRET], webhook_id, body, now_s=now_s or int(time.time()))


def dingtalk_signed(now_ms: int | None = None) -> dict[str, str]:
    timestamp = str(now_ms or time.time_ns() // 1_000_000)
    mac = hmac.new(b"ding-secret", f"{timestamp}\nding-secret".encode(), hashlib.sha256)
    return {"timestamp": timestamp, "sign": base64.b64encode(mac.digest()).decode()}


def stored() -> int:
    with reading() as connection:
        return connection.execute(select(func.count()).select_from(MessageRow)).scalar_one()


def test_a_signed_message_is_recorded_started_and_acknowledged(
    client: flask.testing.FlaskClient, started: list[int]
) -> None:
    response = client.post("/webhooks/chat", data=HELLO, headers=signed(HELLO))
    assert response.status_code == 200
    assert stored() == 1
    assert started == [response.get_json()["id"]]


def test_a_repeated_webhook_gets_the_same_id_and_starts_nothing(
    client: flask.testing.FlaskClient, started: list[int]
) -> None:
    first, second = (client.post("/webhooks/chat", data=HELLO, headers=signed(HELLO)) for _ in range(2))
    assert first.get_json()["id"] == second.get_json()["id"]
    assert (stored(), len(started)) == (1, 1)


REFUSED: list[tuple[str, str, str, dict[str, str], bytes, int, str]] = [
    ("no signature", "POST", "/webhooks/chat", {}, HELLO, 401, "signature_invalid"),
    ("signed an hour ago", "POST", "/webhooks/chat", {"now": "-3600"}, HELLO, 401, "signature_invalid"),
    ("signed but no JSON", "POST", "/webhooks/chat", {"now": "0"}, b"{nope", 400, "payload_invalid"),
    (
        "signed but no text",
        "POST",
        "/webhooks/chat",
        {"now": "0"},
        b'{"type":"message.created"}',
        400,
        "payload_invalid",
    ),
    ("DingTalk without signature", "POST", "/webhooks/dingtalk", {}, b"{}", 401, "signature_invalid"),
    ("DingTalk unreadable", "POST", "/webhooks/dingtalk", {"dingtalk": "1"}, b"[1", 400, "payload_invalid"),
    ("unknown platform", "POST", "/webhooks/telegraph", {}, b"{}", 404, "unknown_platform"),
    ("unknown bot", "POST", "/webhooks/chat/nobody", {}, b"{}", 404, "unknown_platform"),
    ("another method", "PUT", "/webhooks/chat", {}, b"{}", 405, "method_not_allowed"),
    ("another method", "DELETE", "/webhooks/dingtalk/default", {}, b"", 405, "method_not_allowed"),
    ("too large", "POST", "/webhooks/chat", {}, b"x" * 1_000_001, 413, "too_large"),
    ("too large for nobody", "POST", "/webhooks/telegraph", {}, b"x" * 1_000_001, 404, "unknown_platform"),
    ("nothing there", "GET", "/nothing", {}, b"", 404, "not_found"),
]


@pytest.mark.parametrize(
    ("method", "path", "how", "body", "status", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refusals_have_their_status_and_say_why(
    client: flask.testing.FlaskClient,
    method: str,
    path: str,
    how: dict[str, str],
    body: bytes,
    status: int,
    reason: str,
) -> None:
    headers = signed(body, now_s=int(time.time()) + int(how["now"])) if "now" in how else {}
    headers |= dingtalk_signed() if "dingtalk" in how else {}
    response = client.open(path, method=method, data=body, headers=headers)
    assert response.status_code == status
    assert response.get_json()["error"]["reason"] == reason
    assert "Traceback" not in response.text
    assert stored() == 0


@pytest.mark.parametrize(("size", "status"), [(1_000_000, 401), (1_000_001, 413), (5_000_000, 413)])
def test_a_body_without_a_length_is_cut_off_at_the_limit(
    client: flask.testing.FlaskClient, size: int, status: int
) -> None:
    body = io.BytesIO(b"x" * size)
    response = client.post("/webhooks/chat", input_stream=body, environ_overrides={"wsgi.input_terminated": True})
    assert response.status_code == status
    assert body.tell() <= 1_000_001


def test_a_platform_that_is_off_is_not_there(configure: Configure) -> None:
    client = create_app(configure(dingtalk={})).test_client()
    assert client.post("/webhooks/dingtalk", data=b"{}").status_code == 404


def test_a_platform_that_does_not_call_is_not_there_for_callers(configure: Configure) -> None:
    bot = AimSettings(username="bot", password=SecretStr("secret"), server="127.0.0.1")
    client = create_app(configure(aim={"default": bot})).test_client()
    for answer in (client.post("/webhooks/aim", data=b"{}"), client.get("/webhooks/aim")):
        assert (answer.status_code, answer.get_json()["error"]["reason"]) == (404, "unknown_platform")


def test_without_a_database_the_platform_is_told_at_once_to_come_back(configure: Configure, tmp_path: Path) -> None:
    nowhere = SecretStr("sqlite:////dev/null/nowhere.db")
    client = create_app(configure(database_url=nowhere)).test_client()
    began = time.monotonic()
    response = client.post("/webhooks/chat", data=HELLO, headers=signed(HELLO))
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.get_json()["error"]["reason"] == "database_unavailable"
    assert time.monotonic() - began < at_most(1.5)


def test_with_the_broker_down_messages_are_still_taken(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    client = create_app(configure(redis_url=SecretStr("redis://127.0.0.1:1/0"))).test_client()
    monkeypatch.setattr("mindbot_tasks.chains.start", lambda *_, **__: False)
    assert client.post("/webhooks/chat", data=HELLO, headers=signed(HELLO)).status_code == 200
    assert stored() == 1


def test_a_bug_becomes_500_without_a_traceback(
    client: flask.testing.FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> list[int]:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(intake, "receive", fail)
    response = client.post("/webhooks/chat", data=HELLO, headers=signed(HELLO))
    assert response.status_code == 500
    assert "secret detail" not in response.text


def test_nothing_is_acknowledged_that_was_not_recorded(
    client: flask.testing.FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> list[int]:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(intake, "receive", fail)
    assert client.post("/webhooks/chat", data=HELLO, headers=signed(HELLO)).status_code == 503


@pytest.mark.parametrize("path", ["/webhooks/chat", "/webhooks/dingtalk", "/webhooks/chat/playground"])
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "data", "text", "msgId"]), inner),
    ).map(lambda value: json.dumps(value).encode()),
    sign=st.booleans(),
    other=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
def test_no_body_whatever_makes_the_door_fail(
    client: flask.testing.FlaskClient, path: str, body: bytes, sign: bool, other: str
) -> None:
    headers = {**signed(body), **dingtalk_signed()} if sign else {}
    headers["x-other" if sign else "timestamp"] = other
    assert client.post(path, data=body, headers=headers).status_code in (200, 400, 401)


_HEAVY = ("langchain", "langchain_core", "chromadb", "openai", "sklearn", "numpy", "torch", "onnxruntime")


def to_import(names: str) -> tuple[float, int]:
    """CPU seconds, and how many modules of others are loaded; none of them may be heavy."""
    code = (
        f"import sys, time; t = time.process_time(); import {names}; print(time.process_time() - t);"
        "tops = [m.split('.')[0] for m in sys.modules];"
        f"print([top for top in tops if top in {_HEAVY!r}]);"
        "print(len([top for top in tops if top not in ('mindbot_tasks', 'webhooks')]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, heavy, modules = run.stdout.splitlines()
    assert heavy == "[]"
    return float(seconds), int(modules)


def test_loading_the_web_side_loads_nothing_heavy_and_costs_little_more_than_its_frameworks() -> None:
    frameworks = "apiflask, sqlalchemy.orm, celery.app.base, redis, structlog, requests, pydantic_settings"
    # one second on a machine that does nothing else; side by side, because this one may be busy
    theirs, ours = zip(*((to_import(frameworks), to_import("webhooks.app")) for _ in range(2)), strict=True)
    assert max(modules for _, modules in ours) < 1.25 * min(modules for _, modules in theirs)
    assert min(seconds for seconds, _ in ours) < 3 * max(seconds for seconds, _ in theirs)


def test_every_bot_of_a_platform_has_its_own_door_and_secret(configure: Configure, started: list[int]) -> None:
    other = standard_webhooks.secret_of(bytes(32))
    settings = configure(
        chat={
            "shop": ChatSettings(secrets=[SecretStr(CHAT_SECRET)]),
            "crm": ChatSettings(secrets=[SecretStr(other)], deny=["u1"]),
        }
    )
    client = create_app(settings).test_client()
    assert client.post("/webhooks/chat/shop", data=HELLO, headers=signed(HELLO)).status_code == 200
    assert client.post("/webhooks/chat/crm", data=HELLO, headers=signed(HELLO)).status_code == 401
    theirs = standard_webhooks.sign([other], "msg_2", HELLO, now_s=int(time.time()))
    assert client.post("/webhooks/chat/crm", data=HELLO, headers=theirs).status_code == 200
    assert client.post("/webhooks/chat", data=HELLO, headers=signed(HELLO)).status_code == 404
    with reading() as connection:
        rows = connection.execute(select(MessageRow.bot, MessageRow.state).order_by(MessageRow.id)).all()
    assert [tuple(row) for row in rows] == [("shop", "received"), ("crm", "ignored")], "each has its own rules"
    assert len(started) == 1
