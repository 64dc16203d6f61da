"""MindBot's alerts with a clock that is set by hand, real databases, and notifiers that note what they were given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sqlalchemy import Engine

from mindbot_tasks.alerting import answering, delivering, escalating, judging
from mindbot_tasks.alerting.delivering import Delivered, Post
from mindbot_tasks.alerting.judging import Judged
from mindbot_tasks.alerting.registry import addresses, services_of
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import AlertManagerSettings
from mindbot_tasks.model.alert import Accepted, Channel, DeliveryReport, Event, Notification
from mindbot_tasks.stores import alert_probes, alerts, outbox
from mindbot_tasks.stores.alert_probes import Finding, Plan
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.records import Record

SECOND = 1000
MINUTE = 60_000
HOUR = 3_600_000
#: a Monday, 2026-06-01 00:00 UTC
BEGIN = 1_780_272_000_000


@dataclass
class Recorder:
    """A notifier that accepts everything, unless it is told to raise something."""

    name: str
    channel: Channel  # type: ignore[misc]  # a class variable of the real ones
    sent: list[Notification] = field(default_factory=list)
    trouble: Exception | None = None
    cost: float | None = 0.01
    on_send: Callable[[Notification], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        if self.on_send is not None:
            self.on_send(notification)
        if self.trouble is not None:
            raise self.trouble
        with self._lock:
            self.sent.append(notification)
            return Accepted(f"{self.name}-{len(self.sent)}", cost=self.cost, currency="USD")

    def texts(self, event: Event = Event.TRIGGER) -> list[str]:
        return [one.short for one in self.sent if one.event is event]


@dataclass
class Asked(Recorder):
    """One that can also be asked what became of a message."""

    report: DeliveryReport | None = None
    asked: int = 0

    def query(self, provider_message_id: str, notification: Notification, deadline: Deadline) -> DeliveryReport | None:
        self.asked += 1
        return self.report


@dataclass
class Priced(Asked):
    """One whose vendor says afterwards what a message cost."""

    tells_cost: ClassVar[Literal[True]] = True


def settings(**changes: Any) -> AlertManagerSettings:
    """Three people on three levels, and the four rules of the reference."""
    people = {
        "primary": [{"name": "Ann", "phone": "+1001", "email": "ann@example.com", "escalation_level": 1}],
        "secondary": [{"name": "Bob", "phone": "+1002", "email": "bob@example.com", "escalation_level": 2}],
        "team": [{"name": "Team", "phone": "+1003", "email": "team@example.com", "escalation_level": 3}],
    }
    return AlertManagerSettings.model_validate({"recipients": people, **changes})


class World:
    """Everything of alerts but beat, probes' own calls, and vendors."""

    def __init__(self, engine: Engine, configured: AlertManagerSettings | None = None) -> None:
        self.engine = engine
        self.settings = configured or settings()
        self.now = BEGIN
        self.sms = Recorder("twilio", Channel.SMS)
        self.backup = Recorder("aws_sns", Channel.SMS)
        self.email = Recorder("email", Channel.EMAIL)
        self.incident = Recorder("pagerduty", Channel.INCIDENT)
        self.notifiers: list[Any] = [self.sms, self.backup, self.email, self.incident]

    # time

    def later(self, ms: float) -> None:
        self.now += int(ms)

    def run(self, ms: float, *, step: float = 5 * SECOND) -> None:
        """Time passes; whatever beat does is done every `step`."""
        ends = self.now + ms
        while self.now < ends:
            self.later(step)
            self.tick()

    def tick(self) -> Judged:
        judged = self.judge()
        self.escalate()
        while (done := self.deliver()).escalate or done.failed:
            self.escalate()
            if not (done.escalate or self._due()):
                break
        return judged

    def _due(self) -> bool:
        with reading(self.engine) as connection:
            return bool(outbox.due(connection, now=self.now))

    # the parts

    def judge(self) -> Judged:
        with transaction(self.engine) as connection:
            return judging.judge_all(connection, self.settings, services_of(self.notifiers), now=self.now)

    def escalate(self) -> int:
        told = 0
        while True:
            with reading(self.engine) as connection:
                due = alerts.due(connection, now=self.now)
                around = escalating.surroundings(
                    connection, self.settings, services_of(self.notifiers), now=self.now,
                    public_url="https://bot.example.com", secret="k",
                )  # fmt: skip
            if not due:
                return told
            for row in due:
                with transaction(self.engine) as connection:
                    told += escalating.escalate_one(connection, row, around, now=self.now)

    def post(self) -> Post:
        return Post(
            self.settings,
            self.notifiers,
            lambda: transaction(self.engine),
            lambda _connection: self.now,
            people=addresses(self.settings),
        )

    def deliver(self) -> Delivered:
        return delivering.deliver(self.post())

    # what happens

    def see(self, subject: str = "", *, ok: bool = True, probe: str = "", **readings: Any) -> None:
        """A probe has found this."""
        name = probe or f"probe {subject} {' '.join(readings)}"
        with transaction(self.engine) as connection:
            have = [Plan(row["name"], row["kind"], row["subject"], row["interval_ms"], row["timeout_ms"])
                    for row in alert_probes.every(connection)]  # fmt: skip
            if name not in {plan.name for plan in have}:
                alert_probes.synchronise(connection, [*have, Plan(name, "test", subject)], now=self.now)
            row = next(row for row in alert_probes.every(connection) if row["name"] == name)
            alert_probes.record(connection, row, Finding(ok=ok, readings=readings), now=self.now)

    def acknowledge(self, code: str, by: str = "Ann") -> bool:
        with transaction(self.engine) as connection:
            return answering.acknowledge(connection, code, by=by, via="test", now=self.now) is not None

    # what became of it

    def open(self) -> list[Record]:
        with reading(self.engine) as connection:
            return alerts.open_alerts(connection)

    def the_alert(self) -> Record:
        (found,) = self.open()
        return found

    def outbox(self, alert_id: int) -> list[Record]:
        with reading(self.engine) as connection:
            return outbox.of_alert(connection, alert_id)
