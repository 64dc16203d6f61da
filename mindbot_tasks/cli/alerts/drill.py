"""`mindbot alerts drill`: a rule from the probe to the people, against emulators, with a clock that runs ahead."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import structlog
from sqlalchemy import Engine

from mindbot_tasks.alerting import answering, delivering, escalating, escalation, judging
from mindbot_tasks.alerting.delivering import Post
from mindbot_tasks.alerting.figures import duration
from mindbot_tasks.alerting.imagining import values_for
from mindbot_tasks.alerting.registry import addresses, get_notifiers, services_of
from mindbot_tasks.alerting.rules import Rule, rules_of
from mindbot_tasks.cli.alerts.common import tell
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import AlertManagerSettings, Settings, get_settings
from mindbot_tasks.notifiers import registry
from mindbot_tasks.notifiers.base import Notifier
from mindbot_tasks.stores import alert_probes, alerts, history, migrate, outbox
from mindbot_tasks.stores.alert_probes import Finding, Plan
from mindbot_tasks.stores.alerts import Opening
from mindbot_tasks.stores.database import open_engine, reading, transaction
from mindbot_tasks.stores.records import Record

SUBJECT = "drill"
#: a Monday morning
BEGIN = 1_780_300_800_000
STEP_MS = 5_000
_PEOPLE = {
    "primary": [{"name": "Admin", "phone": "+15550000001", "email": "admin@example.com", "escalation_level": 1}],
    "secondary": [{"name": "Backup", "phone": "+15550000002", "email": "backup@example.com", "escalation_level": 2}],
    "team": [{"name": "Team", "phone": "+15550000003", "email": "team@example.com", "escalation_level": 3}],
}


@click.command()
@click.argument("rule_name", metavar="[RULE]", default="dingtalk_connection_lost")
@click.option("--real", is_flag=True, help="Send by the notifiers of this configuration, to its recipients.")
@click.option("--yes", is_flag=True, help="With --real: do not ask.")
@told_plainly
def drill(rule_name: str, real: bool, yes: bool) -> None:
    """Fire a rule end to end and print the timeline: probe, judge, every level, acknowledgement, recovery.

    Everything is done by the code of the running system, in a database of its own and with a clock that runs ahead; the
    vendors are emulators, unless --real is given.
    """
    configured = get_settings()
    manager = configured.alert_manager or AlertManagerSettings()
    rules = rules_of(manager)
    if rule_name not in rules:
        raise SettingsError(tell("no_rule", rule=rule_name, known=", ".join(rules)))
    if real and not yes:
        click.confirm(tell("drill_sure"), abort=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quietly())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mindbot-drill-")))
        if real:
            notifiers: Sequence[Notifier] = get_notifiers()
        else:
            manager, notifiers = stack.enter_context(emulated(configured, manager))
        where = tell("drill_real" if real else "drill_emulators")
        click.echo(tell("drill_begin", rule=rule_name, where=where))
        stage = stack.enter_context(_stage(folder, manager, notifiers))
        stage.play(rules_of(manager)[rule_name])


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The timeline says it better than log lines."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)


@contextlib.contextmanager
def emulated(
    configured: Settings, manager: AlertManagerSettings
) -> Iterator[tuple[AlertManagerSettings, Sequence[Notifier]]]:
    """The same rules and people, and vendors that run on this machine."""
    from emulators.running import running

    account, token, key = "AC" + "0" * 32, "drill", "R" * 32
    with (
        running("twilio", "--account-sid", account, "--auth-token", token) as twilio,
        running("smtp") as smtp,
        running("incidents", "--key", key) as incidents,
    ):
        port = int(smtp.control.call("GET", "/smtp")["port"])
        changes: dict[str, Any] = {
            "sms": {
                "providers": {
                    "twilio": {"account_sid": account, "auth_token": token, "from_number": "+15550000000",
                               "base_url": twilio.url}
                }
            },
            "email": {"host": "127.0.0.1", "port": port, "from_address": "mindbot@example.com", "security": "none"},
            "incidents": {"pagerduty": {"key": key, "base_url": incidents.url}},
            "webhooks": {},
        }  # fmt: skip
        if not any(manager.recipients.values()):
            changes["recipients"] = _PEOPLE
        fresh = AlertManagerSettings.model_validate({**manager.model_dump(by_alias=False), **changes})
        whole = configured.model_copy(update={"alert_manager": fresh})
        yield fresh, registry.build(whole)


@dataclass
class Stage:
    """The running system in small: one database, one clock."""

    engine: Engine
    settings: AlertManagerSettings
    notifiers: Sequence[Notifier]
    now: int = BEGIN
    seen: set[tuple[str, int]] = field(default_factory=set)

    def play(self, rule: Rule) -> None:
        """Fire, let nobody answer until the last level, acknowledge, recover."""
        alert_id = self._fire(rule)
        wait_ms = int(rule.escalation_s * 1000)
        levels = self._row(alert_id)["policy"]["levels"]
        for number in range(len(levels)):
            self._beat()
            if number + 1 < len(levels):
                self.now += wait_ms
        self.now += 60_000
        with transaction(self.engine) as connection:
            answering.acknowledge(connection, self._row(alert_id)["code"], by="drill", via="cli", now=self.now)
        self._beat()
        self.now += 120_000
        with transaction(self.engine) as connection:
            answering.resolve(connection, alert_id, by="drill", now=self.now)
        self._beat()
        with reading(self.engine) as connection:
            notices = outbox.of_alert(connection, alert_id)
        sent = sum(one["status"] in ("accepted", "sent", "delivered") for one in notices)
        click.echo(tell("drill_done", sent=sent, all=len(notices)))
        if sent == 0:
            raise SettingsError(tell("drill_failed"))

    def _fire(self, rule: Rule) -> int:
        """By the rule itself where a value makes it fire; else the alert is opened as the judge would."""
        values = values_for(rule.condition)
        if values is not None:
            for _ in range(int(rule.hold_s * 1000) // STEP_MS + 2):
                self._find(dict(values))
                with transaction(self.engine) as connection:
                    judged = judging.judge_all(connection, self.settings, services_of(self.notifiers), now=self.now)
                mine = [alert_id for alert_id, _, fired in judged.changes if fired.name == rule.name]
                if mine:
                    return mine[0]
                self.now += STEP_MS
        policy = escalation.freeze(rule, self.settings, services_of(self.notifiers))
        opening = Opening(rule.name, alerts.fingerprint_of(rule.name), rule.severity, SUBJECT, rule.written,
                          {SUBJECT: self.now}, {}, policy, source="drill")  # fmt: skip
        with transaction(self.engine) as connection:
            return alerts.open_or_refresh(connection, opening, now=self.now)[0]

    def _find(self, values: dict[str, Any]) -> None:
        with transaction(self.engine) as connection:
            alert_probes.synchronise(connection, [Plan(SUBJECT, SUBJECT, SUBJECT)], now=self.now)
            (row,) = alert_probes.every(connection)
            alert_probes.record(connection, row, Finding(False, error=SUBJECT, readings=values), now=self.now)

    def _beat(self) -> None:
        """What beat asks for, once; then what is new is told."""
        with reading(self.engine) as connection:
            due = alerts.due(connection, now=self.now)
            around = escalating.surroundings(
                connection, self.settings, services_of(self.notifiers), public_url="", secret="", now=self.now
            )
        for row in due:
            with transaction(self.engine) as connection:
                escalating.escalate_one(connection, row, around, now=self.now)
        post = Post(self.settings, self.notifiers, lambda: transaction(self.engine), lambda _: self.now,
                    people=addresses(self.settings))  # fmt: skip
        delivering.deliver(post)
        self._tell()

    def _tell(self) -> None:
        with reading(self.engine) as connection:
            for row in history.listed(connection, limit=10):
                events = [(("event", one["id"]), one["at"], one) for one in history.of(connection, row["id"])]
                for key, at, one in events:
                    if key not in self.seen:
                        self.seen.add(key)
                        what = " ".join(part for part in (one["kind"], one["actor"], one["note"]) if part)
                        click.echo(f"  +{duration(at - BEGIN):>8}  {row['code']}  {what}")

    def _row(self, alert_id: int) -> Record:
        with reading(self.engine) as connection:
            found = alerts.by_id(connection, alert_id)
        assert found is not None  # noqa: S101 - it was opened here
        return found


@contextlib.contextmanager
def _stage(folder: Path, manager: AlertManagerSettings, notifiers: Sequence[Notifier]) -> Iterator[Stage]:
    url = f"sqlite:///{folder / 'drill.db'}"
    migrate.upgrade(url)
    engine = open_engine(url, durable=False)
    try:
        yield Stage(engine, manager, notifiers)
    finally:
        engine.dispose()
