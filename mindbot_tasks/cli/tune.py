"""`mindbot tune`: how many slots each worker needs, by Little's law from what the ledger has measured."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.messages import Since
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores import pace
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.pace import AGENT, Pace

HEADROOM = 1.3
#: fewer than this leave no room for a slow call
LEAST_SLOTS = 2
#: means from fewer messages than this say little
FEW = 30
ASK_WORKERS_S = 1.5
#: seconds of a slot, when nothing has been measured: 5 s for an answer is a careful middle
ASSUMED_S: Mapping[Stage, float] = {Stage.CLASSIFY: 0.01, Stage.GENERATE: 5.0, Stage.REPLY: 0.3}
#: the variable of the Procfile that sets the slots of the worker which serves these stages
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "FAST_CONCURRENCY": (Stage.CLASSIFY, Stage.REPLY),
    "GENERATE_CONCURRENCY": (Stage.GENERATE,),
    "AGENT_CONCURRENCY": (AGENT,),
}


@dataclass(frozen=True, slots=True)
class Need:
    """One stage: messages per second times seconds is how many are in work at once."""

    stage: str
    measured: int  #: messages behind the mean; 0: it is assumed
    mean_s: float
    waited_s: float
    busy: float  #: slots that are busy on average
    current: int | None  #: slots of all workers that answered; None: none did


@dataclass(frozen=True, slots=True)
class Advice:
    """What to set."""

    variable: str
    current: int | None
    needed: int


def needs(rate: float, measured: Mapping[str, Pace], slots: Mapping[str, int]) -> list[Need]:
    """Little's law for each stage: `rate` is messages per second, the agent's by its share of the answers. Pure."""
    found = []
    by_agent, others = measured.get(AGENT), measured.get(Stage.GENERATE)
    share = by_agent.done / (by_agent.done + (others.done if others is not None else 0)) if by_agent else 0.0
    for stage, assumed_s in ASSUMED_S.items():
        seen = measured.get(stage, Pace(0, assumed_s, 0.0))
        busy = rate * seen.mean_s * (1 - share if stage is Stage.GENERATE else 1)
        found.append(Need(str(stage), seen.done, seen.mean_s, seen.waited_s, busy, slots.get(str(stage))))
    if by_agent is not None:
        busy = rate * share * by_agent.mean_s
        found.append(Need(AGENT, by_agent.done, by_agent.mean_s, by_agent.waited_s, busy, slots.get(AGENT)))
    return found


def advise(found: list[Need]) -> list[Advice]:
    """The slots of each worker: what is busy on average, with headroom for the moments above it. Pure.

    >>> generate = Need("generate", 100, 5.0, 0.1, 50.0, 50)
    >>> found = advise([Need("classify", 100, 0.1, 0.0, 1.0, 16), generate, Need("reply", 100, 0.4, 0.0, 4.0, 16)])
    >>> [(one.variable, one.needed) for one in found]
    [('FAST_CONCURRENCY', 7), ('GENERATE_CONCURRENCY', 65)]
    """
    by_stage = {need.stage: need for need in found}
    advice = []
    for variable, stages in VARIABLES.items():
        concerned = [by_stage[str(stage)] for stage in stages if str(stage) in by_stage]
        if not concerned:
            continue  # nothing has been answered by the agent
        needed = math.ceil(round(sum(need.busy for need in concerned) * HEADROOM, 6))
        known = [need.current for need in concerned if need.current is not None]
        advice.append(Advice(variable, min(known) if known else None, max(LEAST_SLOTS, needed)))
    return advice


@click.command()
@click.option(
    "--window", "window_s", type=Since(), default="1h", show_default=True, help="Measure over 15m, 1h, 7d ..."
)
@click.option("--assume-rate", type=click.FloatRange(min=0, min_open=True), help="Plan for so many messages a second.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@told_plainly
def tune(window_s: float, assume_rate: float | None, as_json: bool) -> None:
    """Suggest the concurrency of each worker: messages per second x seconds per stage x 1.3."""
    lang = lang_of(get_settings().language)
    window_ms = int(window_s * 1000)
    with reading() as connection:
        count, seconds = pace.arrivals(connection, window_ms=window_ms)
        measured = pace.paces(connection, window_ms=window_ms)
    rate = assume_rate or count / seconds
    found = needs(rate, measured, current_slots())
    advice = advise(found)
    if as_json:
        told = {
            "messages": count,
            "seconds": round(seconds, 1),
            "rate": rate,
            "assumed_rate": assume_rate is not None,
            "stages": [asdict(need) for need in found],
            "advice": [asdict(one) for one in advice],
        }
        click.echo(json.dumps(told, indent=2))
        return
    if assume_rate is None:
        click.echo(say("tune.measured", lang, count=count, minutes=f"{seconds / 60:.0f}", rate=f"{rate:.2f}"))
    else:
        click.echo(say("tune.planned", lang, rate=f"{rate:g}"))
    _show_table(found, lang)
    _show_advice(found, advice, lang, quiet=count == 0 and assume_rate is None)


def _show_table(found: list[Need], lang: Lang) -> None:
    table = Table(*(say(f"tune.head_{head}", lang) for head in ("stage", "mean", "waited", "busy", "current")))
    for need in found:
        mean = f"{need.mean_s:.2f} s" if need.measured else say("tune.assumed", lang, seconds=f"{need.mean_s:g}")
        waited = f"{need.waited_s:.2f} s" if need.measured else "-"
        current = "-" if need.current is None else str(need.current)
        table.add_row(need.stage, mean, waited, f"{need.busy:.1f}", current)
    Console().print(table)


def _show_advice(found: list[Need], advice: list[Advice], lang: Lang, *, quiet: bool) -> None:
    if quiet:
        click.echo(say("tune.nothing", lang))
        return
    click.echo(say("tune.set", lang))
    for one in advice:
        if one.current is None:
            verdict = ""
        elif one.current < one.needed:
            verdict = say("tune.too_few", lang, current=one.current)
        else:
            verdict = say("tune.enough", lang, current=one.current)
        click.echo(f"  {one.variable}={one.needed}   {verdict}".rstrip())
    thin = [need.stage for need in found if need.measured < FEW]
    if thin:
        click.echo(say("tune.thin", lang, stages=", ".join(thin), few=FEW))


def current_slots() -> dict[str, int]:
    """Queue -> slots of all workers that answer now; empty when the broker or the workers are silent."""
    from kombu.exceptions import OperationalError
    from redis import RedisError

    from mindbot_tasks.app import app

    slots: dict[str, int] = {}
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
            inspect = app.control.inspect(timeout=ASK_WORKERS_S, connection=connection)
            queues: dict[str, Any] = dict(inspect.active_queues() or {})
            stats: dict[str, Any] = dict(inspect.stats() or {})
    except (OSError, OperationalError, RedisError):
        return {}
    for worker, served in queues.items():
        size = (stats.get(worker) or {}).get("pool", {}).get("max-concurrency")
        for queue in served:
            if isinstance(size, int):
                slots[queue["name"]] = slots.get(queue["name"], 0) + size
    return slots
