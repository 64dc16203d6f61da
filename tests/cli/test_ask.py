"""`mindbot ask` when it cannot: each reason is one clear sentence. (That it can: test_demo.py.)"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from mindbot_tasks.cli import following
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.stores.trace import Trace
from tests.cli.kept_demo import mindbot
from tests.conftest import free_port
from tests.platforms.far_side import Say, far_side

SECRET_KEY = {"MINDBOT_SECRET_KEY": "a-secret-key-for-tests"}


def test_where_mindbot_never_ran_it_says_how_to_start_it(tmp_path: Path) -> None:
    done = mindbot("ask", "hello", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "has never run" in done.stderr
    assert "make run" in done.stderr


def test_when_nothing_listens_the_address_is_named(tmp_path: Path) -> None:
    port = str(free_port())
    done = mindbot("ask", "hello", cwd=tmp_path, PORT=port, **SECRET_KEY)
    assert done.returncode == 1
    assert f"nothing answers at http://127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_playground_another_bot_has_to_be_named(tmp_path: Path) -> None:
    done = mindbot("ask", "hello", cwd=tmp_path, MINDBOT_PRODUCTION="true", **SECRET_KEY)
    assert done.returncode == 1
    assert "the playground is off" in done.stderr
    unknown = mindbot("ask", "--bot", "crm", "hello", cwd=tmp_path, **SECRET_KEY)
    assert unknown.returncode == 1
    assert "there is no bot crm" in unknown.stderr


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Say(401), "does not take our signature"),
        (Say(404), "does not exist there"),
        (Say(503), "its database does not answer"),
        (Say(500), "answered 500"),
        (Say(200, b"<html>", content_type="text/html"), "is not MindBot"),
    ],
)
def test_a_refusal_is_explained(tmp_path: Path, answer: Say, words: str) -> None:
    with far_side() as server:
        server.otherwise = answer
        done = mindbot("ask", "--url", server.url, "hello", cwd=tmp_path, LC_ALL="C.UTF-8", **SECRET_KEY)
    assert done.returncode == 1
    assert words in done.stderr
    assert SECRET_KEY["MINDBOT_SECRET_KEY"] not in done.stderr


def test_the_reason_comes_in_chinese_to_a_chinese_terminal(tmp_path: Path) -> None:
    done = mindbot("ask", "你好", cwd=tmp_path, LC_ALL="zh_CN.UTF-8", PORT=str(free_port()), **SECRET_KEY)
    assert "无应答" in done.stderr


def test_an_end_that_is_read_in_two_steps_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step of the timeline may be read before the state that goes with it."""
    message = {
        "id": 1, "state": "generating", "classification": None, "label": None, "confidence": None, "last_error": None,
        "received_at": 0, "finished_at": None,
    }  # fmt: skip
    traces = [Trace(dict(message), None, [], []), Trace({**message, "state": "replied"}, None, [], [])]
    monkeypatch.setattr(following.trace, "get_trace", lambda connection, message_id: traces.pop(0))
    monkeypatch.setattr(following, "reading", contextlib.nullcontext)
    states = [seen.state for seen in following.follow("", "", 1, Deadline(10))]
    assert states == ["generating", "replied"]
