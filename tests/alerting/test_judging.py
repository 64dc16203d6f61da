"""The judge on real databases: anomalies and forecasts, hiding symptoms, silences, grouping, remedies, history."""

from __future__ import annotations

from sqlalchemy import Engine, insert

from mindbot_tasks.alerting.remedies import Remedy
from mindbot_tasks.stores import history, silences
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.tables_alerts import MetricHourRow
from tests.alerting.world import BEGIN, HOUR, MINUTE, SECOND, World, settings


def rule(condition: str, **more: object) -> dict[str, object]:
    return {"condition": condition, "severity": "high", "immediate_sms": True, **more}


def alone(engine: Engine, **rules: dict[str, object]) -> World:
    return World(engine, settings(rules=rules, default_rules=False))


def past(world: World, metric: str, subject: str, values: dict[int, float]) -> None:
    """Hours ago -> the mean of sixty looks."""
    rows = [
        {"metric": metric, "subject": subject, "hour": world.now // HOUR - ago, "count": 60, "total": 60 * value,
         "squares": 60 * value * value * 1.01, "lowest": value, "highest": value}
        for ago, value in values.items()
    ]  # fmt: skip
    with transaction(world.engine) as connection:
        connection.execute(insert(MetricHourRow), rows)


def test_an_anomaly_is_told_with_what_is_usual(engine: Engine) -> None:
    world = alone(engine, slow=rule("anomaly(response_time) > 4"))
    past(world, "response_time", "", {week * 168 + near: 1000.0 for week in (1, 2, 3) for near in (-1, 0, 1)})
    world.see(response_time=1100.0)
    assert not world.tick().changes
    world.see(response_time=4000.0)
    world.tick()
    assert "response_time is 4000ms, usually 1000ms +- 100ms at this hour of the week" in world.the_alert()["summary"]


def test_a_forecast_is_told_with_when_it_will_be_full(engine: Engine) -> None:
    world = alone(engine, fills=rule("forecast(disk_usage, 24h) > 95%"))
    past(world, "disk_usage", "host", {ago: 0.7 - 0.02 * (ago - 0.5) for ago in range(1, 10)})
    world.see("host", disk_usage=0.7)
    world.tick()
    told = world.the_alert()["summary"]
    assert "host: disk_usage is 70% and changes by 2% an hour: 95% in 12.5 h" in told


def test_without_a_past_nothing_is_unusual(engine: Engine) -> None:
    world = alone(engine, slow=rule("anomaly(response_time) > 4 OR forecast(response_time, 1h) > 5s"))
    world.see(response_time=40_000.0)
    assert not world.tick().changes


def test_a_cause_hides_its_symptoms_until_it_is_over(world: World) -> None:
    world.see(broker_up=0.0)
    world.see("classify", queue_canary_age=900.0)
    world.tick()
    assert {row["rule"] for row in world.open()} == {"broker_down", "queue_stuck"}
    assert {one.details["rule"] for one in world.sms.sent} == {"broker_down"}
    for _ in range(3):
        world.later(20 * SECOND)
        world.see(broker_up=1.0)
        world.see("classify", queue_canary_age=900.0)
        world.tick()
    assert {one.details["rule"] for one in world.sms.sent} == {"broker_down", "queue_stuck"}


def test_what_is_silenced_is_recorded_and_told_when_the_silence_ends(world: World) -> None:
    with transaction(world.engine) as connection:
        silences.add(connection, {"rule": "dingtalk*"}, starts_at=BEGIN, ends_at=BEGIN + 5 * MINUTE, author="a",
                     comment="", now=BEGIN)  # fmt: skip
    for _ in range(10):
        world.see("dingtalk:default", dingtalk_connection_status="disconnected")
        world.tick()
        world.later(29 * SECOND)
    assert not world.sms.sent
    assert world.the_alert()["muted_by"] == "silence 1"
    world.later(15 * SECOND)
    world.see("dingtalk:default", dingtalk_connection_status="disconnected")
    world.tick()
    assert [one.recipient for one in world.sms.sent] == ["Ann"]


def test_in_a_maintenance_window_nobody_is_told(engine: Engine) -> None:
    world = World(
        engine, settings(maintenance={"nightly": {"hours": "00:00-01:00", "match": {"severity": "critical"}}})
    )
    world.see("dingtalk:default", dingtalk_connection_status="disconnected")
    world.tick()
    assert not world.sms.sent
    assert world.the_alert()["muted_by"] == "maintenance nightly"


def test_each_subject_may_have_an_alert_of_its_own(engine: Engine) -> None:
    world = alone(engine, each=rule("check_failed > 2", group_by="subject"), all=rule("check_failed > 2"))
    world.see(check_failed={"a": 3.0, "b": 3.0, "c": 0.0})
    world.tick()
    assert sorted((row["rule"], *sorted(row["members"])) for row in world.open()) == [
        ("all", "a", "b"), ("each", "a"), ("each", "b"),
    ]  # fmt: skip


def test_a_new_member_of_an_acknowledged_alert_calls_again(engine: Engine) -> None:
    world = alone(engine, all=rule("check_failed > 2"))
    world.see(check_failed={"a": 3.0})
    world.tick()
    world.acknowledge(world.the_alert()["code"])
    world.later(MINUTE)
    world.see(check_failed={"a": 3.0, "b": 3.0})
    world.tick()
    assert len(world.sms.texts()) == 1, "not before the cooldown"
    world.later(5 * MINUTE)
    world.see(check_failed={"a": 3.0, "b": 3.0})
    world.tick()
    assert len(world.sms.texts()) == 2
    assert sorted(world.the_alert()["members"]) == ["a", "b"]


def test_what_is_no_longer_configured_is_over(engine: Engine) -> None:
    world = alone(engine, all=rule("check_failed > 2"))
    world.see(check_failed={"a": 3.0})
    world.tick()
    world.see(check_failed={"b": 0.0})
    world.tick()
    assert world.open() == []
    world.see(check_failed={"b": 3.0})
    world.tick()
    world.settings = settings(default_rules=False)
    world.tick()
    assert world.open() == []


def test_a_remedy_is_taken_up_to_its_limit_and_written_down(engine: Engine) -> None:
    remedy = {"action": "switch_provider_off", "at_most": 2}
    world = alone(engine, all=rule("check_failed > 2", group_by="subject", remedy=remedy))
    world.see(check_failed={"a": 3.0, "b": 3.0, "c": 3.0})
    judged = world.judge()
    assert [(one.action, one.target) for one in judged.remedies] == [
        ("switch_provider_off", "a"), ("switch_provider_off", "b"),
    ]  # fmt: skip
    assert isinstance(judged.remedies[0], Remedy)
    with reading(engine) as connection:
        kinds = [one["kind"] for row in world.open() for one in history.of(connection, row["id"])]
    assert (kinds.count("remedy"), kinds.count("remedy not taken")) == (2, 1)


def test_the_history_says_who_is_noisy_and_how_long_it_took(world: World) -> None:
    world.see("dingtalk:default", dingtalk_connection_status="disconnected")
    world.tick()
    world.later(MINUTE)
    world.acknowledge(world.the_alert()["code"])
    for _ in range(4):
        world.later(20 * SECOND)
        world.see("dingtalk:default", dingtalk_connection_status="connected")
        world.tick()
    with reading(world.engine) as connection:
        (figures,) = history.noisiest(connection, since=0)
        records = list(history.export(connection, since=0, until=world.now + 1))
    assert (figures.rule, figures.alerts, figures.to_acknowledge_s) == ("dingtalk_connection_lost", 1, 60.0)
    assert figures.cost > 0
    assert {one["kind_of_record"] for one in records} == {"alert", "event", "notification"}


def test_a_probe_of_ones_own_that_fails_is_one_alert(engine: Engine) -> None:
    world = World(engine, settings(rules={"orders": rule("check_failed['orders'] > 1")}))
    world.see(check_failed={"orders": 5.0, "ldap": 5.0})
    world.tick()
    assert {(row["rule"], tuple(row["members"])) for row in world.open()} == {
        ("orders", ("",)), ("probe_failed", ("ldap",))
    }  # fmt: skip
