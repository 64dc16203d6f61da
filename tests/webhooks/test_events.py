"""Watching a message: every state, the growing text, the end; with Redis or without; never too many streams."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import flask.testing
import orjson
import pytest
from pydantic import SecretStr

from mindbot_tasks.model.message import State
from mindbot_tasks.stores import live
from tests.slack import at_most
from tests.webhooks.conftest import API_KEY, Configure
from tests.webhooks.ledger import a_message, advance, answer
from webhooks.api import events
from webhooks.app import create_app

KEY = {"Authorization": f"Bearer {API_KEY}"}


def watch(client: flask.testing.FlaskClient, message_id: int) -> Generator[tuple[str, Any]]:
    """The events, as (name, data); comments are ("", text)."""
    response = client.get(f"/api/v1/messages/{message_id}/events?render=html", headers=KEY, buffered=False)
    assert response.status_code == 200
    assert response.mimetype == "text/event-stream"
    try:
        for block in response.iter_encoded():
            lines = dict(line.split(": ", 1) for line in block.decode().strip().splitlines())
            if "event" in lines:
                yield lines["event"], orjson.loads(lines["data"])
            elif "" in lines:
                yield "", lines[""]
    finally:
        response.close()


def test_a_finished_message_is_told_at_once(client: flask.testing.FlaskClient) -> None:
    message_id = a_message()
    answer(message_id, "yes")
    ((name, data),) = watch(client, message_id)
    assert name == "done"
    assert data["answer"]["text"] == "yes"


def test_states_and_growing_text_arrive_as_they_happen(
    client: flask.testing.FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOOK_EVERY_S", "KEEP_ALIVE_S"):  # longer than this test may take: what arrives was told by Redis
        monkeypatch.setattr(events, name, 600.0)
    message_id = a_message()
    seen = watch(client, message_id)
    assert next(seen)[1]["state"] == "received"
    advance(message_id, "classified", label="general_chat", confidence=1.0)
    live.tell_state("chat", message_id, State.CLASSIFIED)
    name, data = next(seen)
    assert (name, data["state"]) == ("message", "classified")
    live.LiveText(message_id)("**so** far")
    name, data = next(seen)
    assert (name, data) == ("text", {"text": "**so** far", "html": "<p><strong>so</strong> far</p>\n"})
    answer(message_id, "**so** far and on")
    live.tell_state("chat", message_id, State.REPLIED)
    assert next(seen)[0] == "done"
    assert next(seen, None) is None


def test_without_redis_changes_are_found_within_two_seconds(configure: Configure, started: list[int]) -> None:
    client = create_app(configure(redis_url=SecretStr("redis://127.0.0.1:1/0"))).test_client()
    message_id = a_message()
    seen = watch(client, message_id)
    assert next(seen)[1]["state"] == "received"
    answer(message_id, "yes")
    began = time.monotonic()
    assert next(seen)[0] == "done"
    assert time.monotonic() - began < at_most(2.5)


def test_a_silent_stream_is_kept_alive_and_ends_after_its_time(
    client: flask.testing.FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = a_message()
    for name, value in (("LOOK_EVERY_S", 0.1), ("KEEP_ALIVE_S", 0.2)):
        monkeypatch.setattr(events, name, value)
    seen = watch(client, message_id)
    assert [next(seen)[0], next(seen)[0]] == ["message", ""]
    seen.close()
    monkeypatch.setattr(events, "LONGEST_S", 0.5)
    assert [name for name, _ in watch(client, message_id)][-1] == "timeout"


def test_there_are_only_so_many_streams_and_a_closed_one_frees_its_place(configure: Configure) -> None:
    client = create_app(configure(web={"max_streams": 2})).test_client()
    message_id = a_message()
    address = f"/api/v1/messages/{message_id}/events"
    open_ones = [client.get(address, headers=KEY, buffered=False) for _ in range(2)]
    refused = client.get(address, headers=KEY)
    assert refused.status_code == 503
    assert refused.get_json()["error"]["reason"] == "too_many_streams"
    assert "Retry-After" in refused.headers
    open_ones[0].close()  # before a single event was read
    again = client.get(address, headers=KEY, buffered=False)
    assert again.status_code == 200
    for response in (again, open_ones[1]):
        response.close()
