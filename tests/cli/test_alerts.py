"""`mindbot alerts`: what people see of alerts and do about them."""

from __future__ import annotations

import csv
import getpass
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mindbot_tasks.alerting import escalation
from mindbot_tasks.alerting.registry import get_notifiers
from mindbot_tasks.alerting.rules import rules_of
from mindbot_tasks.cli import main
from mindbot_tasks.core.settings import get_settings, reset_settings
from mindbot_tasks.stores import alerts, workers
from mindbot_tasks.stores.alerts import Opening
from mindbot_tasks.stores.database import forget_engine, get_engine, transaction

CONFIG = """
language: en
alert_manager:
  sms: {providers: {twilio: {account_sid: AC1, auth_token: t, from_number: "+1"}}}
  recipients:
    primary: [{name: Ann, phone: "+1001"}]
    secondary: [{name: Bob, phone: "+1002", escalation_level: 2}]
"""


@pytest.fixture
def run(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    (tmp_path / "mindbot.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    reset_settings()
    forget_engine()
    get_notifiers.cache_clear()

    def command(*words: str) -> Result:
        return CliRunner().invoke(main, ["alerts", *words])

    yield command
    get_engine().dispose()
    forget_engine()
    reset_settings()
    get_notifiers.cache_clear()


def fire() -> str:
    manager = get_settings().alert_manager
    assert manager is not None
    rule = rules_of(manager)["dify_api_down"]
    with transaction() as connection:
        opening = Opening(rule.name, alerts.fingerprint_of(rule.name), rule.severity, "chat", "=bad", {"chat": 1}, {},
                          escalation.freeze(rule, manager, {}))  # fmt: skip
        alert_id, _ = alerts.open_or_refresh(connection, opening, now=workers.database_time(connection))
        row = alerts.by_id(connection, alert_id)
    assert row is not None
    return str(row["code"])


def test_an_alert_is_listed_shown_acknowledged_and_exported(run) -> None:  # type: ignore[no-untyped-def]
    assert run("list").output == "no alerts\n"
    code = fire()
    assert code in run("list").output
    (listed,) = [json.loads(line) for line in run("list", "--json").output.splitlines()]
    assert (listed["rule"], "policy" in listed) == ("dify_api_down", False)
    assert "opened =bad" in run("show", code).output
    assert run("ack", code.lower(), "--by", "Ann").output == f"{code} (dify_api_down) is acknowledged\n"
    late = run("ack", code)
    assert (late.exit_code, "by Ann" in late.output) == (1, True)
    assert run("ack", "XXXX").exit_code == run("show", "XXXX").exit_code == 1
    rows = list(csv.DictReader(io.StringIO(run("export", "--format", "csv").output)))
    assert [row["record"] for row in rows] == ["alert", "event", "event"]
    assert rows[0]["summary"] == "'=bad", "no spreadsheet computes what somebody wrote"
    assert [json.loads(line)["record"] for line in run("export").output.splitlines()] == ["alert", "event", "event"]
    assert "dify_api_down" in run("stats").output


def test_silences_begin_are_listed_and_end(run) -> None:  # type: ignore[no-untyped-def]
    assert "silence 1 holds until" in run("silence", "rule=dify_*", "--for", "2h", "--comment", "upgrade").output
    assert "rule=dify_*" in run("silence").output
    assert run("silence", "--end", "1").exit_code == 0
    assert run("silence", "--end", "1").exit_code == 1
    assert run("silence", "nonsense").exit_code == 1
    began, ended = csv.DictReader(io.StringIO(run("export", "--format", "csv").output))
    assert (began["kind"], began["note"], began["code"], began["rule"]) == ("silenced", "1: rule=dify_*", "", "")
    assert (ended["kind"], ended["actor"]) == ("silence ended", getpass.getuser())
    assert run("silence").output == "no silences\n"


def test_a_rule_is_tried_without_calling_anybody(run) -> None:  # type: ignore[no-untyped-def]
    told = run("test", "dingtalk_connection_lost").output
    assert "now: no data" in told
    assert "level 1 after 0s: Ann (sms)" in told
    assert "level 2 after 5m: Bob (sms)" in told
    assert "SMS (1 part(s)): CRITICAL: MindBot DingTalk connection lost at" in told
    assert "there is no rule nope" in run("test", "nope").output
    assert run("list").output == "no alerts\n"
    assert "is open as a test" in run("test", "dify_api_down", "--send").output
    (code,) = [json.loads(line)["code"] for line in run("list", "--json").output.splitlines()]
    assert run("resolve", code, "--by", "Ann").output == f"{code} (dify_api_down) is closed\n"
    assert run("resolve", code).exit_code == run("resolve", "XXXX").exit_code == 1
    assert run("list").output == "no alerts\n"


def test_an_alert_of_a_rule_is_not_closed_by_hand(run) -> None:  # type: ignore[no-untyped-def]
    code = fire()
    assert run("resolve", code).exit_code == 1
    assert code in run("list").output


def test_every_metric_is_listed(run) -> None:  # type: ignore[no-untyped-def]
    told = run("metrics").output
    assert all(name in told for name in ("dingtalk_connection_status", "error_rate", "queue_age", "no data"))


def test_a_drill_goes_through_all_levels(run) -> None:  # type: ignore[no-untyped-def]
    told = run("drill", "dify_api_down").output
    assert [word for word in ("level 1", "level 2", "level 4", "acknowledged", "resolved") if word not in told] == []
    assert "The drill is over; notices that went out: " in told
