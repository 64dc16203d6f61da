"""From what a probe finds to the SMS of the right person, with a clock that is set by hand."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.model.alert import Delivery, DeliveryReport, Event
from mindbot_tasks.stores import outbox
from mindbot_tasks.stores.database import transaction
from tests.alerting.world import HOUR, MINUTE, SECOND, Asked, Priced, World, settings
from tests.conftest import PATIENCE_S

DOWN, UP = "disconnected", "connected"


def lose(world: World, status: str = DOWN) -> None:
    world.see("dingtalk:default", dingtalk_connection_status=status)


def test_an_outage_is_an_sms_in_the_words_of_the_issue(world: World) -> None:
    lose(world)
    world.tick()
    assert world.sms.texts() == [
        f"CRITICAL: MindBot DingTalk connection lost at 2026-06-01 00:00:00. Immediate attention required."
        f" ACK {world.the_alert()['code']}"
    ]
    assert [one.recipient for one in world.sms.sent] == ["Ann"]
    assert world.email.sent[0].long_text.count("\n") > 5


def test_nobody_acknowledges_so_level_after_level_is_told(world: World) -> None:
    lose(world)
    world.tick()
    told = [(world.now, [one.recipient for one in world.sms.sent])]
    for _ in range(40):
        world.later(30 * SECOND)
        lose(world)
        world.tick()
        people = [one.recipient for one in world.sms.sent]
        if people != told[-1][1]:
            told.append((world.now, people))
    assert [(at - told[0][0]) // MINUTE for at, _ in told] == [0, 5, 10]
    assert told[-1][1] == ["Ann", "Bob", "Team"]
    assert [one.alert_code for one in world.incident.sent] == [world.the_alert()["code"]]


def test_an_acknowledged_alert_goes_no_further_and_its_end_is_told_to_whoever_was_told(world: World) -> None:
    lose(world)
    world.tick()
    assert world.acknowledge(world.the_alert()["code"].lower())
    for _ in range(60):
        world.later(30 * SECOND)
        lose(world)
        world.tick()
    assert [one.recipient for one in world.sms.sent] == ["Ann"]
    for _ in range(10):
        world.later(30 * SECOND)
        lose(world, UP)
        world.tick()
    assert world.open() == []
    assert [(one.recipient, one.event) for one in world.sms.sent] == [("Ann", Event.TRIGGER), ("Ann", Event.RESOLVE)]
    assert "RESOLVED: MindBot dingtalk_connection_lost after" in world.sms.sent[1].short


def test_an_acknowledged_alert_that_stays_calls_again(world: World) -> None:
    lose(world)
    world.tick()
    world.acknowledge(world.the_alert()["code"])
    world.later(4 * HOUR)
    lose(world)
    world.tick()
    world.later(5 * SECOND)
    world.tick()
    assert len(world.sms.texts()) == 2


def test_a_hundred_outages_are_a_hundred_pages_and_each_comes_within_a_minute(sqlite_engine: Engine) -> None:
    """Probes every 30 s, beat every 5 s, outages that begin at any moment."""
    world = World(sqlite_engine, settings(alert_cooldown=0))
    delays = []
    for number in range(100):
        begins = world.now + (number * 1_237) % (30 * SECOND)
        probe_at = world.now + 30 * SECOND
        world.now = probe_at
        lose(world)
        while len(world.sms.texts()) == number:
            world.later(5 * SECOND)
            world.tick()
        delays.append(world.now - begins)
        world.later(30 * SECOND)
        lose(world, UP)
        world.judge()
        world.later(31 * SECOND)
        lose(world, UP)
        world.tick()
        assert world.open() == []
        world.later(8 * MINUTE)
    assert len(world.sms.texts()) == 100
    assert max(delays) <= 60 * SECOND


def test_a_storm_of_five_hundred_failing_checks_is_three_sms_at_most(sqlite_engine: Engine) -> None:
    rules = {
        f"rule_{number}": {"condition": f"check_failed['c{number}'] > 2", "severity": "critical", "immediate_sms": True}
        for number in range(500)
    }
    world = World(sqlite_engine, settings(rules=rules, default_rules=False))
    world.see(check_failed={f"c{number}": 3 for number in range(500)})
    world.tick()
    world.tick()
    assert len(world.open()) == 500
    assert (len(world.sms.sent), len(world.email.sent)) == (3, 12)
    assert any("+497 more" in one.short for one in world.sms.sent)
    assert any("+488 more" in one.long_html for one in world.email.sent)
    with transaction(sqlite_engine) as connection:
        assert not [row for row in outbox.due(connection, now=world.now) if row["channel"] == "sms"]


def test_a_storm_that_takes_minutes_to_be_seen_is_four_sms_to_each(sqlite_engine: Engine) -> None:
    """What came after the burst goes together in one, when the window of the burst is over."""
    rules = {
        f"rule_{number}": {"condition": f"check_failed['c{number}'] > 2", "severity": "critical", "immediate_sms": True}
        for number in range(30)
    }
    world = World(sqlite_engine, settings(rules=rules, default_rules=False))
    for seen in range(5, 31, 5):
        world.see(check_failed={f"c{number}": 3 for number in range(seen)})
        world.tick()
        world.later(15 * SECOND)
    assert len(world.sms.sent) == 3
    world.run(6 * MINUTE, step=30 * SECOND)
    told = [one.short for one in world.sms.sent if one.recipient == "Ann"]
    assert len(told) == 4
    # those of the first minute were sent side by side, so any of them may have been the last
    assert [("+2 more" in text) for text in told[:3]].count(True) == 1
    assert "+24 more" in told[3]


def test_checks_of_one_rule_are_one_alert(world: World) -> None:
    world.see(check_failed={f"c{number}": 3 for number in range(500)})
    world.tick()
    assert len(world.the_alert()["members"]) == 500
    assert len(world.sms.sent) == 1


def test_a_flapping_check_is_one_alert_and_one_sms_in_a_cooldown(world: World) -> None:
    for number in range(40):
        world.later(30 * SECOND)
        lose(world, UP if number % 3 else DOWN)
        world.tick()
    assert len(world.sms.texts()) <= 1 + 40 * 30 // 300
    assert len({one.alert_code for one in world.sms.sent}) == 1


def test_the_backup_takes_over_when_the_first_vendor_is_away(world: World) -> None:
    world.sms.trouble = Unavailable("away", kind="connection")
    lose(world)
    world.tick()
    assert [one.recipient for one in world.backup.sent] == ["Ann"]


@pytest.mark.parametrize(
    "trouble", [Unavailable("x", kind="timeout"), Throttled("x", retry_after_s=5), Rejected("x", kind="auth")]
)
def test_when_no_vendor_takes_it_the_same_person_gets_an_email_at_once(world: World, trouble: Exception) -> None:
    world.sms.trouble = world.backup.trouble = trouble
    world.see(queue_age=500.0)  # its SMS is immediate, and so its e-mail
    lose(world)
    world.tick()
    assert {one.recipient for one in world.email.sent} == {"Ann"}
    before = len(world.email.sent)
    world.email.trouble = trouble
    world.later(5 * MINUTE)
    world.tick()
    world.later(SECOND)
    world.tick()
    assert len(world.email.sent) == before
    assert world.incident.sent, "nobody can be reached: the last level is called at once"


def test_vendors_that_come_back_are_tried_again_while_it_fires(world: World) -> None:
    for notifier in (world.sms, world.backup, world.email, world.incident):
        notifier.trouble = Unavailable("away", kind="connection")
    lose(world)
    world.run(10 * MINUTE, step=10 * SECOND)
    lose(world)
    assert not world.sms.sent
    for notifier in (world.sms, world.backup, world.email, world.incident):
        notifier.trouble = None
    world.run(5 * MINUTE, step=10 * SECOND)
    assert "Ann" in {one.recipient for one in world.sms.sent}


def test_accepted_but_not_delivered_goes_to_the_next_vendor(world: World) -> None:
    asked = Asked("twilio", world.sms.channel, report=DeliveryReport(Delivery.UNDELIVERED, "30003"))
    world.notifiers[0] = asked
    lose(world)
    world.tick()
    assert len(asked.sent) == 1
    world.run(60 * SECOND)
    assert asked.asked == 1
    assert [one.recipient for one in world.backup.sent] == ["Ann"]


def test_receipts_come_twice_and_out_of_order(world: World) -> None:
    lose(world)
    world.tick()
    for state in (Delivery.DELIVERED, Delivery.SENT, Delivery.DELIVERED, Delivery.UNDELIVERED):
        with transaction(world.engine) as connection:
            assert outbox.note_delivery(connection, "twilio", "twilio-1", DeliveryReport(state), now=world.now)
    (row,) = [row for row in world.outbox(world.the_alert()["id"]) if row["channel"] == "sms"]
    assert row["status"] == "delivered"
    world.run(MINUTE)
    assert not world.backup.sent
    with transaction(world.engine) as connection:
        assert not outbox.note_delivery(connection, "twilio", "nobody", DeliveryReport(Delivery.SENT), now=world.now)


@pytest.mark.parametrize("tells", [True, False])
def test_what_a_message_cost_is_asked_for_after_its_receipt(world: World, tells: bool) -> None:
    """A receipt does not say it, and a cap on what a day may cost must not wait for nothing."""
    asked = (Priced if tells else Asked)("twilio", world.sms.channel, cost=None)
    world.notifiers = [asked]
    lose(world)
    world.tick()
    with transaction(world.engine) as connection:
        assert outbox.note_delivery(connection, "twilio", "twilio-1", DeliveryReport(Delivery.DELIVERED), now=world.now)
    asked.report = DeliveryReport(Delivery.DELIVERED)  # the vendor does not know it yet
    world.run(30 * SECOND)
    asked.report = DeliveryReport(Delivery.DELIVERED, "", 0.0079, "USD")
    world.run(10 * MINUTE, step=10 * SECOND)
    row = next(row for row in world.outbox(world.the_alert()["id"]) if row["provider_message_id"] == "twilio-1")
    assert (row["status"], row["cost"]) == (("delivered", 0.0079) if tells else ("delivered", None))
    assert row["next_try_at"] is None


def test_a_sender_that_was_killed_in_mid_call_is_replaced_after_two_minutes(world: World) -> None:
    class Killed(BaseException):
        pass

    def die(_: object) -> None:
        raise Killed

    world.notifiers = [world.sms]
    world.sms.on_send = die
    lose(world)
    world.judge()
    world.escalate()
    with pytest.raises(Killed):
        world.deliver()
    world.sms.on_send = None
    world.later(110 * SECOND)
    world.deliver()
    assert not world.sms.sent
    world.later(11 * SECOND)
    world.deliver()
    assert len(world.sms.sent) == 1


def test_two_beats_do_everything_once(world: World) -> None:
    lose(world)
    gate = threading.Barrier(4)

    def everything() -> None:
        gate.wait(PATIENCE_S)
        world.judge()
        world.escalate()
        world.deliver()

    with ThreadPoolExecutor(4) as crowd:
        for future in [crowd.submit(everything) for _ in range(4)]:
            future.result()
    world.tick()
    assert len(world.open()) == 1
    assert len(world.sms.sent) == 1
    assert len(world.email.sent) == 1


def test_of_an_acknowledgement_and_an_escalation_at_the_same_moment_one_wins(engine: Engine) -> None:
    """Whatever comes first: level 2 is told before the acknowledgement, or not at all."""
    trials = int(os.environ.get("MINDBOT_TEST_RACES", "60"))
    rule = {"condition": "check_failed > 2", "severity": "critical", "immediate_sms": True, "group_by": "subject"}
    rules = {"r": {**rule, "escalation_timeout": 300}}
    world = World(engine, settings(rules=rules, default_rules=False))
    world.see(check_failed={f"c{number}": 3 for number in range(trials)})
    world.judge()
    world.escalate()
    world.later(301 * SECOND)
    codes = [row["code"] for row in world.open()]
    with ThreadPoolExecutor(4) as crowd:
        races = [crowd.submit(world.escalate)]
        races += [crowd.submit(world.acknowledge, code) for code in codes]
        races += [crowd.submit(world.escalate)]
        won = sum(race.result() is True for race in races)
    assert won == trials, "each acknowledgement is taken once, before or after level 2 was told"
    for row in world.open():
        assert row["state"] == "acknowledged"
        second = [one for one in world.outbox(row["id"]) if one["level"] == 2 and one["event"] == "trigger"]
        # what was written before the acknowledgement is moot after it
        assert len(second) <= 2
        assert all(one["status"] == "moot" for one in second)
    world.deliver()
    assert "Bob" not in {one.recipient for one in world.sms.sent}


def test_a_thousand_people_acknowledge_and_one_is_the_first(world: World) -> None:
    lose(world)
    world.tick()
    code = world.the_alert()["code"]
    with ThreadPoolExecutor(8) as crowd:
        won = list(crowd.map(lambda number: world.acknowledge(code, by=f"p{number}"), range(60)))
    assert won.count(True) == 1


def test_everything_is_down_for_ten_minutes_and_back(world: World) -> None:
    """No probe ran: old values mean nothing, an open alert stays, and it is over when the probe says so."""
    lose(world)
    world.tick()
    world.later(10 * MINUTE)
    world.tick()
    assert [row["rule"] for row in world.open()] == ["dingtalk_connection_lost"]
    assert [one.recipient for one in world.sms.sent] == ["Ann", "Bob"], "the level that was due meanwhile"
    lose(world, UP)
    world.tick()
    world.run(2 * MINUTE)
    assert world.open() == []


def test_a_mild_alert_is_an_email_first_and_an_sms_when_nobody_acknowledges(world: World) -> None:
    for _ in range(3):
        world.see("host", cpu_usage=0.95, memory_usage=0.42)
        world.tick()
        world.later(30 * SECOND)
    assert [one.recipient for one in world.email.sent] == ["Ann"]
    assert not world.sms.sent
    world.later(HOUR)
    world.see("host", cpu_usage=0.95, memory_usage=0.42)
    world.tick()
    assert [(one.recipient, one.short) for one in world.sms.sent] == [
        ("Bob", f"MEDIUM: MindBot resource usage high. CPU: 95%, Memory: 42%. ACK {world.the_alert()['code']}")
    ]
