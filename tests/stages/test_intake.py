"""The way in: once, safely, quickly, whatever is down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from mindbot_tasks import chains, intake
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores import database, inbox
from tests.conftest import free_port, redis_binary
from tests.slack import at_most
from tests.stages.conftest import Ledger
from tests.stages.stooge import Stooge
from tests.stores.words import message


def test_a_duplicate_gets_the_id_of_the_first_and_starts_nothing(
    ledger: Ledger, started: list[tuple[int, Stage]]
) -> None:
    one = message("twice", platform="stooge")
    assert intake.receive([one, one]) == intake.receive([one]) * 2
    assert len(started) == 1


def test_what_is_not_meant_for_the_bot_is_kept_and_left_alone(ledger: Ledger, started: list[tuple[int, Stage]]) -> None:
    one = ledger.receive(addressed=False)
    two = ledger.receive()
    assert ledger.state(one) == "ignored"
    assert started == [(two, Stage.CLASSIFY)], "nobody waits for it"


@pytest.mark.usefixtures("configure")
def test_a_message_is_recorded_although_the_broker_is_down(stooge: Stooge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(chains._broker, "_pause_s", 3600.0)
    ledger = Ledger(stooge)
    began = time.monotonic()
    one = ledger.receive()
    assert time.monotonic() - began < at_most(1.5)
    assert ledger.state(one) == "received"
    assert not chains._broker.allows(), "those that come next do not even try for a while"
    two = ledger.receive()
    assert ledger.state(two) == "received"


def test_while_the_database_is_away_callers_hear_so_at_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> inbox.Recorded:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(intake._database, "_pause_s", 3600.0)
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "record_once", away)
        with pytest.raises(DatabaseUnavailable, match="away"):
            ledger.receive()
    with pytest.raises(DatabaseUnavailable, match="a moment ago"):
        ledger.receive()
    intake._database._until = 0
    assert ledger.state(ledger.receive()) == "received"


def test_the_words_of_a_message_are_in_no_error_of_the_database(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="hidden") as caught, database.one_statement() as connection:
        connection.exec_driver_sql("INSERT INTO messages VALUES (:words)", {"words": "a secret of mine"})
    assert "a secret of mine" not in str(caught.value)


ROOT = Path(__file__).resolve().parents[2]
PUBLISH = """
import sys, time
from mindbot_tasks.app import only_publish
from mindbot_tasks import chains
only_publish()
assert chains.start(1)
print("warm", flush=True)
sys.stdin.readline()
began = time.monotonic()
worked = chains.start(2)
print(worked, time.monotonic() - began, flush=True)
"""


@pytest.mark.parametrize(("blow", "promised_s"), [(signal.SIGSTOP, 1.5), (signal.SIGKILL, 0.8)], ids=["frozen", "dead"])
def test_a_broker_that_does_not_answer_costs_the_web_side_about_a_second(
    tmp_path: Path, blow: signal.Signals, promised_s: float
) -> None:
    binary = redis_binary()
    assert binary is not None
    port = free_port()
    server = subprocess.Popen([binary, "--port", str(port), "--save", "", "--bind", "127.0.0.1"], cwd=tmp_path,
                              stdout=subprocess.DEVNULL)  # fmt: skip
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            ends_at = time.monotonic() + 60
            while time.monotonic() < ends_at:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": url, "MINDBOT_HOME": str(tmp_path)}
        with subprocess.Popen([sys.executable, "-c", PUBLISH], env=environment, cwd=tmp_path, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as web:  # fmt: skip
            assert web.stdin is not None
            assert web.stdout is not None
            lines = iter(web.stdout.readline, "")
            assert any(line == "warm\n" for line in lines)
            server.send_signal(blow)
            if blow is signal.SIGKILL:
                server.wait()
            web.stdin.write("now\n")
            web.stdin.flush()
            worked, took_s = next(line for line in lines if line.startswith(("True", "False"))).split()
        assert worked == "False"
        assert float(took_s) < at_most(promised_s)
    finally:
        server.kill()
        server.wait()
