"""Probe, judge, escalate and notify as tasks, on a real database and a real broker; and the ways to acknowledge."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from mindbot_tasks import obey
from mindbot_tasks.alerting import answering, registry, watching
from mindbot_tasks.alerting.probes import vendors
from mindbot_tasks.alerting.probes.context import Context
from mindbot_tasks.app import app
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import AlertManagerSettings, Settings, WorkflowSettings, get_settings
from mindbot_tasks.escalate import escalate
from mindbot_tasks.judge import judge
from mindbot_tasks.model.alert import Channel, Event
from mindbot_tasks.model.message import State
from mindbot_tasks.notify import ChatNotifier, notify
from mindbot_tasks.platforms.condition import Condition
from mindbot_tasks.probe import _intervals as intervals
from mindbot_tasks.probe import know_configured, probe
from mindbot_tasks.purge import purge
from mindbot_tasks.stores import alert_probes, alerts, history, outbox, performance, workers
from mindbot_tasks.stores.alert_probes import Finding, Plan
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.tables import DutyRow
from tests.alerting.world import Recorder, settings
from tests.core.far_side import answering as saying
from tests.core.far_side import far_side
from tests.stages.conftest import Configure, Ledger

PUBLISHED: list[tuple[str, Any]] = []


@pytest.fixture
def phone(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Alerts are on, and every SMS is written down here."""
    configure(alert_manager=settings(default_rules=True), secret_key=SecretStr("s"))
    recorder = Recorder("twilio", Channel.SMS)
    monkeypatch.setattr(registry, "get_notifiers", lambda: (recorder,))
    monkeypatch.setattr("mindbot_tasks.notify.get_notifiers", lambda: (recorder,))
    PUBLISHED.clear()
    monkeypatch.setattr(app, "send_task", lambda name, args=(), **_: PUBLISHED.append((name, args)))
    know_configured.cache_clear()
    intervals.cache_clear()
    return recorder


def find(**readings: Any) -> None:
    """A probe of the test's own found this just now."""
    with transaction() as connection:
        now = workers.database_time(connection)
        alert_probes.synchronise(connection, [Plan("test", "test", "dingtalk:default")], now=now)
        (row,) = alert_probes.every(connection)
        alert_probes.record(connection, row, Finding(True, readings=readings), now=now)


def the_alert() -> alert_probes.Record:
    with reading() as connection:
        (row,) = alerts.open_alerts(connection)
    return row


def test_from_a_finding_to_an_sms(phone: Recorder) -> None:
    find(dingtalk_connection_status="disconnected")
    assert judge.run("beat") == 1
    assert judge.run("beat") == 0, "once in a slot"
    assert [name for name, _ in PUBLISHED] == ["mindbot.escalate"]
    assert escalate.run() == 1
    assert escalate.run() == 0
    assert notify.run() == 1
    assert notify.run() == 0
    assert [one.recipient for one in phone.sent] == ["Ann"]
    with reading() as connection:
        assert (workers.duty_age_ms(connection, "beat") or 0) < 60_000


def test_every_probe_of_a_plain_installation_runs(phone: Recorder) -> None:
    assert probe.run() > 5
    names = [each for name, args in PUBLISHED if name == "mindbot.probe" for each in args]
    assert {"machine", "database", "broker", "queues", "messages", "connections"} <= set(names)
    assert probe.run() == 0, "once in a slot"
    with one_statement() as connection:  # none is due a second time while this machine runs the others
        connection.exec_driver_sql("UPDATE probes SET interval_ms = 3600000, timeout_ms = 60000")
    assert probe.run(*names) == len(names)
    assert probe.run(*names) == 0, "not due"
    with reading() as connection:
        rows = {row["name"]: row for row in alert_probes.every(connection)}
    assert {name: row["error"] for name, row in rows.items() if not row["ok"]} == {}
    assert rows["broker"]["readings"]["queue_depth"]["alerts"] == 0
    assert rows["messages"]["readings"]["error_rate"] == 0


def test_servers_that_hang_leave_room_for_the_judge(phone: Recorder, configure: Configure) -> None:
    """However many probes there are, no more than two batches are on their way."""
    probes = {f"p{number}": {"type": "tcp", "host": "127.0.0.1", "port": 1} for number in range(100)}
    configure(alert_manager=settings(probes=probes))
    assert probe.run() == 32
    assert [len(args) for _, args in PUBLISHED] == [16, 16]
    with one_statement() as connection:
        connection.exec_driver_sql("UPDATE duties SET ran_at = 0")
    assert probe.run() == 0
    assert probe.run(*PUBLISHED[0][1]) == 16
    with one_statement() as connection:
        connection.exec_driver_sql("UPDATE duties SET ran_at = 0")
    assert probe.run() == 16


def test_messages_that_end_badly_are_a_rate_and_a_quarantined_one_is_an_alert(phone: Recorder, ledger: Ledger) -> None:
    probe.run()
    probe.run("messages")
    for number in range(4):
        one = ledger.receive(conversation=f"c{number}")
        ended = State.QUARANTINED if number else State.REPLIED
        ledger.change(one, state=ended, step=str(ended), finished_at=_now(), wake_at=None,
                      stepped_at=_now())  # fmt: skip
    with one_statement() as connection:
        connection.exec_driver_sql("UPDATE probes SET next_at = 0")
    assert probe.run("messages") == 1
    with reading() as connection:
        (row,) = [row for row in alert_probes.every(connection) if row["name"] == "messages"]
    assert row["readings"]["quarantined_messages"] == 3
    assert row["readings"]["error_rate"] == pytest.approx(0.3), "of at least ten"
    assert row["readings"]["throughput"] == 4
    judge.run()
    with reading() as connection:
        assert "message_quarantined" in {one["rule"] for one in alerts.open_alerts(connection)}


def test_calls_of_dify_that_fail_are_a_rate_while_its_checks_are_well(phone: Recorder) -> None:
    with far_side(saying(b"HTTP/1.1 200 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")) as url:
        whole = Settings(
            workflows={"w": WorkflowSettings(dify_endpoint=f"{url}/v1", dify_api_key=SecretStr("app-key"))}
        )
        fleet = performance.Performance()
        for _ in range(4):
            fleet.note("workflow:w", ok=False, seconds=1)
        fleet.seen(["workflow:w"])  # hands over
        found = vendors.dify(Context(whole, {"subject": "w", "failures": 0, "memory": {}}, Deadline(10), 0))
    assert found.readings["dify_error_rate"] == pytest.approx(0.4), "of at least ten"


def _now() -> int:
    with reading() as connection:
        return workers.database_time(connection)


def test_an_administrator_acknowledges_in_a_chat(phone: Recorder) -> None:
    find(dingtalk_connection_status="disconnected")
    judge.run()
    code = the_alert()["code"]
    with transaction() as connection:
        assert obey.acknowledge_alert(connection, f" #{code.lower()} ", by="stooge:ann")
        assert not obey.acknowledge_alert(connection, code, by="stooge:bob")
        assert not obey.acknowledge_alert(connection, "XXXX", by="stooge:bob")
    assert the_alert()["acknowledged_by"] == "stooge:ann"
    escalate.run()
    notify.run()
    assert not phone.sent, "nobody needs to be told any more"


def test_links_prove_themselves() -> None:
    url = answering.link("https://bot.example.com/", "secret", "K7Q4")
    assert url.startswith("https://bot.example.com/alerts/K7Q4/acknowledge?key=")
    key = url.rpartition("=")[2]
    assert answering.holds("secret", "K7Q4", key)
    wrong = [("secret", "K7Q5", key), ("other", "K7Q4", key), ("", "K7Q4", ""), ("secret", "K7Q4", "é")]
    assert not any(answering.holds(*each) for each in wrong)
    assert answering.link("", "secret", "K7Q4") == answering.link("https://x", "", "K7Q4") == ""


def test_a_person_can_be_told_in_a_chat_and_once(phone: Recorder, configure: Configure) -> None:
    people = {"a": [{"name": "Ann", "chat": "chat:nobody:u1"}]}
    configure(alert_manager=settings(recipients=people))
    find(dingtalk_connection_status="disconnected")
    judge.run()
    escalate.run()
    with reading() as connection:
        (row,) = outbox.of_alert(connection, the_alert()["id"])
    assert (row["channel"], row["address"]) == ("chat", "chat:nobody:u1")
    assert ChatNotifier().name == registry.CHAT
    notify.run()
    with reading() as connection:
        (row,) = outbox.of_alert(connection, the_alert()["id"])
    assert (row["status"], row["error"]) == ("failed", "chat: invalid_request"), "there is no such bot"


def test_announced_maintenance_is_told_when_it_is_over(phone: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    from mindbot_tasks.stores import silences

    email = Recorder("email", Channel.EMAIL)
    monkeypatch.setattr(registry, "get_notifiers", lambda: (phone, email))
    monkeypatch.setattr("mindbot_tasks.notify.get_notifiers", lambda: (phone, email))
    judge.run()
    with transaction() as connection:
        now = workers.database_time(connection)
        silences.add(connection, {}, starts_at=now - 1000, ends_at=now - 1, author="a", comment="", now=now - 1000,
                     maintenance=True)  # fmt: skip
        connection.exec_driver_sql("UPDATE duties SET ran_at = ran_at - 10000")
    judge.run()
    escalate.run()
    notify.run()
    assert [one.event for one in email.sent] == [Event.TRIGGER]
    assert email.sent[0].short.startswith("LOW: MindBot maintenance completed successfully at ")
    assert not phone.sent


def test_old_alerts_and_results_are_forgotten(phone: Recorder) -> None:
    find(queue_age=1.0)
    find(dingtalk_connection_status="disconnected")
    judge.run()
    with transaction() as connection:
        answering.resolve(connection, the_alert()["id"], by="test", now=1)
        connection.exec_driver_sql("UPDATE probe_results SET at = 1")
    purge.run()
    with reading() as connection:
        assert history.listed(connection) == []
        assert alert_probes.results(connection, "test", since=0) == []


def test_where_alerts_are_off_nothing_is_done(configure: Configure) -> None:
    configure(alert_manager=None)
    assert (judge.run(), escalate.run(), notify.run()) == (0, 0, 0)
    configure(alert_manager=AlertManagerSettings(enabled=False))
    assert (judge.run(), escalate.run(), notify.run()) == (0, 0, 0)


def test_workers_without_a_beat_that_ever_was_there_are_noticed_by_the_watchdog(phone: Recorder) -> None:
    def beat() -> bool | None:
        return watching.looks(get_settings())["beat"][0]()

    assert beat() is None, "where nobody works nobody misses it"
    with one_statement() as connection:
        workers.register(connection, "worker_fast@here:1", ["classify"])
    assert beat() is False
    judge.run("beat")
    assert beat() is True


def drained(phone: Recorder, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """A rule that drains a queue fires; returns what workers are told."""
    told: list[tuple[str, str]] = []
    rule = {"condition": "error_rate > 10%", "keep_firing_for": 0, "remedy": {"action": "drain", "target": "collect"}}
    configure(alert_manager=settings(rules={"dr": rule}, default_rules=False), secret_key=SecretStr("s"))
    monkeypatch.setattr(app.control, "cancel_consumer", lambda queue: told.append(("stop", queue)))
    monkeypatch.setattr(app.control, "add_consumer", lambda queue, destination: told.append(("go", queue)))
    monkeypatch.setattr(app.control, "ping", lambda timeout: [{"fast@here": {"ok": "pong"}}])
    with one_statement() as connection:
        workers.register(connection, "worker_fast@here:1", ["classify", "collect"])
    find(error_rate=0.5)
    assert judge.run() == 1
    return told


def slots_pass() -> None:
    with transaction() as connection:
        connection.execute(update(DutyRow).values(ran_at=DutyRow.ran_at - 20_000))


def test_a_drained_queue_stays_drained_and_is_given_back_once(
    phone: Recorder, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = drained(phone, configure, monkeypatch)
    slots_pass()
    judge.run()
    assert set(told) == {("stop", "collect")}
    assert len(told) >= 2, "a worker that was started again is told, too"
    told.clear()
    find(error_rate=0.0)
    for _ in range(3):
        slots_pass()
        judge.run()
    assert [one for one in told if one[0] == "go"] == [("go", "collect")]
    assert told[-1] == ("go", "collect")
    with reading() as connection:
        (row,) = history.listed(connection)
        kinds = [one["kind"] for one in history.of(connection, row["id"])]
    assert [kind for kind in kinds if "remedy" in kind] == ["remedy", "remedy done", "remedy taken back"]


def test_a_queue_whose_judge_was_killed_before_it_gave_it_back_is_given_back_by_the_next(
    phone: Recorder, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = drained(phone, configure, monkeypatch)
    with transaction() as connection:
        (row,) = alerts.open_alerts(connection)
        answering.resolve(connection, row["id"], by="rule", now=workers.database_time(connection))
    find(error_rate=0.0)
    told.clear()
    for _ in range(2):
        slots_pass()
        judge.run()
    assert told == [("go", "collect")]


def test_a_remedy_that_cannot_be_carried_out_says_so(
    phone: Recorder, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"condition": "error_rate > 10%", "remedy": {"action": "recycle_pool", "target": "nobody"}}
    configure(alert_manager=settings(rules={"r": rule}, default_rules=False), secret_key=SecretStr("s"))
    monkeypatch.setattr(app.control, "ping", lambda timeout: [{"fast@here": {"ok": "pong"}}])
    find(error_rate=0.5)
    judge.run()
    with reading() as connection:
        found = history.of(connection, the_alert()["id"])
    assert [one["kind"] for one in found if "remedy" in one["kind"]] == ["remedy", "remedy failed"]


def test_a_stream_that_begins_anew_is_no_outage_and_one_that_stays_away_is_one_within_half_a_minute(
    phone: Recorder, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = ["online"] + ["closed"] * 5
    row: dict[str, Any] = {"subject": "", "failures": 0, "memory": {}, "readings": {}}
    told = []
    for turn, state in enumerate(states):
        one = Condition("dingtalk", "default", state == "online", "", cast(Any, state))
        monkeypatch.setattr("mindbot_tasks.alerting.probes.vendors.conditions", lambda _settings, one=one: [one])
        found = vendors.connections(Context(get_settings(), row, Deadline(3), 1_000_000 + turn * 10_000))
        row |= {"memory": dict(found.memory), "readings": dict(found.readings)}
        told.append(row["readings"]["dingtalk_connection_status"].get("dingtalk:default"))
    assert told == ["connected", "connected", "connected", "disconnected", "disconnected", "disconnected"]
