"""`mindbot alerts test`: what a rule says now, what it would send to whom; and, if asked, a real alert."""

from __future__ import annotations

import click

from mindbot_tasks.alerting import escalation
from mindbot_tasks.alerting.escalation import Step
from mindbot_tasks.alerting.figures import duration, reasons
from mindbot_tasks.alerting.judging import look, values_of
from mindbot_tasks.alerting.rationing import sms_parts
from mindbot_tasks.alerting.registry import services
from mindbot_tasks.alerting.rules import Rule, rules_of
from mindbot_tasks.alerting.wording import Scene, content
from mindbot_tasks.cli.alerts.common import language, manager, tell
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.conditions import judge
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.model.alert import Channel, Event
from mindbot_tasks.stores import alerts, workers
from mindbot_tasks.stores.alerts import Opening
from mindbot_tasks.stores.database import reading, transaction


@click.command()
@click.argument("rule_name", metavar="RULE")
@click.option("--send", is_flag=True, help="Open a test alert: people are really told, level after level.")
@told_plainly
def test(rule_name: str, send: bool) -> None:
    """Say whether a rule fires now and why, whom it would tell, and what their SMS would say."""
    settings = manager()
    rules = rules_of(settings)
    rule = rules.get(rule_name)
    if rule is None:
        raise SettingsError(tell("no_rule", rule=rule_name, known=", ".join(rules)))
    with reading() as connection:
        now = workers.database_time(connection)
        seen = look(connection, settings, now=now)
    subjects = sorted(seen.subjects(rule.condition))
    verdicts = {subject: judge(rule.condition, seen.lookup(subject)) for subject in subjects}
    firing = [subject for subject, verdict in verdicts.items() if verdict]
    verdict = "true" if firing else "none" if None in verdicts.values() else "false"
    said = tell(f"verdict_{verdict}")
    if firing:
        said += f" ({reasons(rule.condition, firing, seen, language())})"
    click.echo(tell("test_now", rule=rule.name, condition=rule.written, verdict=said))
    opening = Opening(
        rule=rule.name, fingerprint=alerts.fingerprint_of(rule.name, "test"), severity=rule.severity, component="test",
        summary=tell("test_summary"), members=dict.fromkeys(firing or subjects, now),
        readings=values_of(rule, firing or subjects, seen),
        policy=escalation.freeze(rule, settings, services(settings)), source="test",
    )  # fmt: skip
    _say_whom(rule, opening, now)
    if send:
        with transaction() as connection:
            alert_id, _ = alerts.open_or_refresh(connection, opening, now=workers.database_time(connection))
            row = alerts.by_id(connection, alert_id)
        assert row is not None  # noqa: S101 - it was opened here
        click.echo(tell("test_sent", code=row["code"]))


def _say_whom(rule: Rule, opening: Opening, now: int) -> None:
    policy = opening.policy
    row = {
        "code": "K7Q4", "rule": rule.name, "severity": rule.severity.value, "component": "test", "state": "firing",
        "summary": opening.summary, "members": opening.members, "readings": opening.readings, "policy": policy,
        "labels": {}, "fired_at": now, "resolved_at": None, "acknowledged_by": None,
    }  # fmt: skip
    wait_ms = 0
    for number, level in enumerate(policy["levels"], 1):
        people = escalation.whom(policy, Step(level, number, False, 0), rule.severity, services(manager()), now=now)
        named = ", ".join(f"{person.name} ({person.channel})" for person in people) or tell("test_nobody")
        click.echo(tell("test_level", level=level, wait=duration(wait_ms), people=named))
        wait_ms += policy["wait_ms"]
        for person in people:
            if number == 1 and person.channel is Channel.SMS:
                text = content(Event.TRIGGER, row, person, level, Scene(), now=now)["short"]
                click.echo(tell("test_sms", parts=sms_parts(text), text=text))
