"""`mindbot alerts ack|resolve|silence`: what people do about alerts."""

from __future__ import annotations

import getpass

import click

from mindbot_tasks.cli.alerts.common import clock, tell
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.messages import Since
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.stores import alerts as store
from mindbot_tasks.stores import silences, workers
from mindbot_tasks.stores.database import transaction


@click.command()
@click.argument("code")
@click.option("--by", default="", help="Who takes care; by default the user of this machine.")
@told_plainly
def ack(code: str, by: str) -> None:
    """Say that somebody takes care: nobody else is called."""
    from mindbot_tasks.alerting import answering

    with transaction() as connection:
        now = workers.database_time(connection)
        won = answering.acknowledge(connection, code, by=by or getpass.getuser(), via="cli", now=now)
        known = store.by_code(connection, code)
    if won is not None:
        click.echo(tell("acknowledged", code=won["code"], rule=won["rule"]))
        return
    if known is None:
        raise SettingsError(tell("unknown", code=store.normal_code(code)))
    raise SettingsError(tell("too_late", code=known["code"], state=known["state"], by=known["acknowledged_by"] or "-"))


@click.command()
@click.argument("code")
@click.option("--by", default="", help="Who says so; by default the user of this machine.")
@told_plainly
def resolve(code: str, by: str) -> None:
    """Close an alert that no rule closes again: of a test, a drill or the watchdog."""
    from mindbot_tasks.alerting import answering

    with transaction() as connection:
        row = store.by_code(connection, code)
        if row is None:
            raise SettingsError(tell("unknown", code=store.normal_code(code)))
        if row["source"] not in answering.BY_HAND:
            raise SettingsError(tell("not_by_hand", code=row["code"]))
        now = workers.database_time(connection)
        if answering.resolve(connection, row["id"], by=by or getpass.getuser(), now=now) is None:
            raise SettingsError(tell("too_late", code=row["code"], state=row["state"], by=row["resolved_by"] or "-"))
    click.echo(tell("resolved", code=row["code"], rule=row["rule"]))


@click.command()
@click.argument("matches", nargs=-1, metavar="[LABEL=PATTERN]...")
@click.option("--for", "lasts_s", type=Since(), default="1h", show_default=True, help="How long: 30m, 2h, 1d ...")
@click.option("--in", "starts_s", type=Since(), default="0s", help="Begins after this time.")
@click.option("--comment", default="")
@click.option("--by", default="", help="Who says so; by default the user of this machine.")
@click.option("--end", "ends", type=int, help="End the silence of this number.")
@click.option("--maintenance", is_flag=True, help="Tell everybody of level 1 when it is over.")
@told_plainly
def silence(
    matches: tuple[str, ...], lasts_s: float, starts_s: float, comment: str, by: str, ends: int | None,
    maintenance: bool,
) -> None:  # fmt: skip
    """Let alerts that match tell nobody for a while; without arguments: list the silences.

    Labels: rule, component, severity, code and those of the rules; patterns may hold * and ?.
    """
    with transaction() as connection:
        now = workers.database_time(connection)
        if ends is not None:
            if not silences.end(connection, ends, now=now):
                raise SettingsError(tell("no_silence", id=ends))
            click.echo(tell("silence_ended", id=ends))
            return
        if matches or maintenance:
            matchers = dict(_matcher(one) for one in matches)
            made = silences.add(
                connection, matchers, starts_at=now + int(starts_s * 1000),
                ends_at=now + int((starts_s + lasts_s) * 1000), author=by or getpass.getuser(),
                comment=comment, maintenance=maintenance, now=now,
            )  # fmt: skip
            click.echo(tell("silenced", id=made, until=clock(now + int((starts_s + lasts_s) * 1000))))
            return
        rows = silences.current(connection, now=now)
    for row in rows:
        about = ", ".join(f"{name}={value}" for name, value in row["matchers"].items()) or "*"
        when = f"{clock(row['starts_at'])} - {clock(row['ends_at'])}"
        click.echo("  ".join((str(row["id"]), about, when, row["author"], row["comment"])).rstrip())
    if not rows:
        click.echo(tell("no_silences"))


def _matcher(text: str) -> tuple[str, str]:
    name, sign, pattern = text.partition("=")
    if not sign or not name:
        raise SettingsError(tell("bad_matcher", text=text))
    return name.strip(), pattern.strip()
