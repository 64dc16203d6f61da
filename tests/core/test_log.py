"""Every line is JSON, carries the message's id, and holds no secret, phone number or text of a message."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from mindbot_tasks.core import log
from mindbot_tasks.core.settings import ProviderSettings, Settings

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    path = tmp_path / "mindbot.log"
    root = logging.getLogger()
    before = (root.handlers, root.level, sys.excepthook, threading.excepthook)
    log.configure(
        "cli", Settings(log_file=str(path), log_level="INFO", redis_url="redis://:hunter2-redis@127.0.0.1:1/0")
    )
    try:
        yield lambda: [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    finally:
        root.handlers, level, sys.excepthook, threading.excepthook = before
        root.setLevel(level)
        logging.captureWarnings(False)
        structlog.contextvars.clear_contextvars()
        structlog.reset_defaults()


def test_our_line_and_a_library_s_line_look_alike_and_carry_the_message_id(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(message_id=77):
        structlog.get_logger("mindbot_tasks.classify").info("stage_done", stage="classify")
        logging.getLogger("celery.app.trace").info("Task %s succeeded", "mindbot.classify")
    ours, theirs = lines()
    assert ours.keys() - {"stage"} == theirs.keys()
    assert (ours["event"], ours["logger"], ours["level"], ours["message_id"]) == (
        "stage_done",
        "mindbot_tasks.classify",
        "info",
        77,
    )
    assert (theirs["event"], theirs["logger"]) == ("Task mindbot.classify succeeded", "celery.app.trace")
    assert ours["at"].endswith("Z")


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    structlog.get_logger("a").debug("unseen")
    logging.getLogger("b").debug("unseen")
    assert lines() == []


SECRETS = [
    "sk-abcdefghijklmnopqrstuvwx",
    "app-0123456789abcdefghij",
    "whsec_bWluZGJvdC13ZWJob29rLXNlY3JldA",
    "LTAI5tabcdefghijklmnopqr",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "13912345678",
    "+8613912345678",
    "hunter2-redis",
    'registered "live" secret\\with quotes',
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "place",
    [
        lambda value: {"detail": f"asked {value} and failed"},
        lambda value: {"detail": {"deep": [f"({value})"]}},
        lambda value: {"url": f"https://u:{'x'}@h/p?access_token={value}&x=1"},
        lambda value: {"exc_info": RuntimeError(f"no: {value}")},
    ],
    ids=["string", "nested", "address", "exception"],
)
def test_what_looks_like_a_secret_is_removed(lines: Lines, secret: str, place: Callable[[str], dict[str, Any]]) -> None:
    log.register_secret(SECRETS[-1])
    structlog.get_logger("a").warning("called", **place(secret))
    written = orjson.dumps(lines()).decode()
    assert orjson.dumps(secret)[1:-1].decode() not in written
    assert log.REMOVED in written


@pytest.mark.parametrize(
    "key", ["password", "api_key", "X-Acs-Dingtalk-Access-Token", "authorization", "client_secret", "sign", "mobile"]
)
def test_values_of_secret_keys_are_removed_whatever_they_look_like(lines: Lines, key: str) -> None:
    structlog.get_logger("a").info("called", **{key: "plain"}, headers={key: "plain"})
    (line,) = lines()
    assert line[key] == log.REMOVED
    assert line["headers"] == {key: log.REMOVED}


@pytest.mark.parametrize("key", ["text", "body", "content", "query", "prompt"])
def test_what_people_write_is_replaced_by_its_length(lines: Lines, key: str) -> None:
    structlog.get_logger("a").info("called", **{key: "my wages"})
    assert lines()[0][key] == "[8 long, removed]"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_tokens", 5_000_000),
        ("at_ms", 1763000000123),
        ("message_id", 13912345678),
        ("design", "blue"),
        ("n", None),
    ],
)
def test_innocent_values_stay(lines: Lines, key: str, value: object) -> None:
    structlog.get_logger("a").info("called", **{key: value})
    assert lines()[0][key] == value


def test_every_secret_of_the_settings_is_known_from_the_start(lines: Lines) -> None:
    settings = Settings(providers={"a": ProviderSettings(api_key=SecretStr("unremarkable-value"))})
    log.register_secrets_of(settings)
    assert "unremarkable-value" not in log.redact_text("it is unremarkable-value!")


def test_a_traceback_shows_no_local_variables_and_no_bound_parameters(lines: Lines) -> None:
    def fail() -> None:
        wages = "secret-local-value"
        raise ValueError(f"[SQL: INSERT]\n[parameters: ('how much is my pay',)] {len(wages)}")

    try:
        fail()
    except ValueError:
        structlog.get_logger("a").exception("broken")
    (line,) = lines()
    assert "in fail" in line["exception"]
    assert "secret-local-value" not in line["exception"].replace('wages = "secret-local-value"', "")
    assert "my pay" not in line["exception"]
    assert line["level"] == "error"


def test_the_file_is_opened_again_after_a_rotation(
    lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("mindbot_tasks.core.log.time.monotonic", lambda: now[0])
    structlog.get_logger("a").info("first")
    (tmp_path / "mindbot.log").rename(tmp_path / "mindbot.log.1")
    now[0] += 2
    structlog.get_logger("a").info("second")
    assert [line["event"] for line in lines()] == ["second"]


@given(
    st.dictionaries(
        st.text(max_size=20),
        st.recursive(st.none() | st.integers() | st.text(st.characters(exclude_categories=())) | st.binary(), st.lists),
    )
)
def test_whatever_is_logged_becomes_one_line_of_json(event: dict[str, Any]) -> None:
    line: Any = {"event": "x", **event}
    for processor in log._PROCESSORS:
        line = processor(None, "info", line)
    assert line.count(b"\n") == 1
    assert isinstance(json.loads(line), dict)


def test_a_process_writes_to_stdout_and_says_why_it_died() -> None:
    code = (
        "from mindbot_tasks.core import log; from mindbot_tasks.core.settings import Settings\n"
        "log.configure('web', Settings())\n"
        "raise RuntimeError('sk-abcdefghijklmnopqrstuvwx')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    (line,) = done.stdout.splitlines()
    assert orjson.loads(line)["event"] == "uncaught"
    assert b"sk-abcdef" not in done.stdout + done.stderr


def test_words_of_an_exception_stay_out_unless_they_speak_of_the_machine(lines: Lines) -> None:
    def fail(error: Exception) -> None:
        try:
            try:
                raise KeyError("how much is my pay")
            finally:
                raise error
        except (ValueError, ConnectionError):
            structlog.get_logger("a").exception("broken")

    fail(ValueError("invalid number: 'my pay'"))
    fail(ConnectionError("port 6379 is closed"))
    told = [line["exception"] for line in lines()]
    assert all("KeyError\n\nand then:" in text for text in told)
    assert all(text.count("my pay") == text.count("raise KeyError(") + text.count("fail(Value") for text in told)
    assert told[0].endswith("ValueError")
    assert told[1].endswith("ConnectionError: port 6379 is closed")
