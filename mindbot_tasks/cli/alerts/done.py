"""`mindbot alerts ack|resolve|silence`: what people do about alerts."""

from __future__ import annotations

import getpass

import click

from mindbot_tasks.alerting import acting
from mindbot_tasks.cli.alerts.common import clock, tell
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.messages import Since
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.stores import silences, workers
from mindbot_tasks.stores.alerts import normal_code
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.records import Record


@click.command()
@click.argument("code")
@click.option("--by", default="", help="Who takes care; by default the user of this machine.")
@told_plainly
def ack(code: str, by: str) -> None:
    """Say that somebody takes care: nobody else is called."""
    won = _done(code, acting.acknowledge(code, by=by or getpass.getuser(), via="cli"))
    click.echo(tell("acknowledged", code=won["code"], rule=won["rule"]))


@click.command()
@click.argument("code")
@click.option("--by", default="", help="Who says so; by default the user of this machine.")
@told_plainly
def resolve(code: str, by: str) -> None:
    """Close an alert that no rule closes again: of a test, a drill or the watchdog."""
    won = _done(code, acting.resolve(code, by=by or getpass.getuser()))
    click.echo(tell("resolved", code=won["code"], rule=won["rule"]))


def _done(code: str, outcome: acting.Outcome | None) -> Record:
    if outcome is None:
        raise SettingsError(tell("unknown", code=normal_code(code)))
    row = outcome.alert
    if outcome.result == "not_by_hand":
        raise SettingsError(tell("not_by_hand", code=row["code"]))
    if outcome.result == "late":
        raise SettingsError(tell("too_late", code=row["code"], state=row["state"], by=outcome.by or "-"))
    return row


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
    by = by or getpass.getuser()
    if ends is not None:
        if acting.end_silence(ends, by=by) is None:
            raise SettingsError(tell("no_silence", id=ends))
        click.echo(tell("silence_ended", id=ends))
        return
    made = acting.silence(
        dict(_matcher(one) for one in matches), by=by, lasts_ms=int(lasts_s * 1000), starts_in_ms=int(starts_s * 1000),
        comment=comment, maintenance=maintenance,
    )  # fmt: skip
    if made is not None:
        click.echo(tell("silenced", id=made["id"], until=clock(made["ends_at"])))
        return
    with reading() as connection:
        rows = silences.current(connection, now=workers.database_time(connection))
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
