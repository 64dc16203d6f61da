"""`mindbot messages` and `mindbot replay`: what happened to a message, and once more, please."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.errors import MindBotError
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.stores import trace
from mindbot_tasks.stores.database import reading, transaction

_SINCE = re.compile(r"(?P<number>\d+)(?P<unit>[smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Since(click.ParamType[float]):
    """A span of time such as 90s, 15m, 2h or 7d; becomes seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _SINCE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no span of time; write 90s, 15m, 2h or 7d", param, ctx)
        return float(int(match["number"]) * _UNIT_S[match["unit"]])


def _clock(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _span(milliseconds: int) -> str:
    return f"{milliseconds} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"


@click.group(invoke_without_command=True)
@click.option("--state", type=click.Choice([str(state) for state in State]), help="Only messages in this state.")
@click.option("--platform", help="Only this platform.")
@click.option("--bot", help="Only this bot.")
@click.option("--conversation", help="Only this conversation (the platform's id).")
@click.option("--sender", help="Only this person (the platform's id).")
@click.option("--unfinished", is_flag=True, help="Only messages that are still on their way.")
@click.option("--since", type=_Since(), help="Only messages received in the last 90s, 15m, 2h, 7d ...")
@click.option("--before", "before_id", type=int, help="Only messages with a smaller id: the next page.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
@told_plainly
def messages(
    context: click.Context,
    state: str | None,
    platform: str | None,
    bot: str | None,
    conversation: str | None,
    sender: str | None,
    unfinished: bool,
    since: float | None,
    before_id: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """List messages, the newest first; `mindbot messages show ID` tells the whole story of one."""
    if context.invoked_subcommand is not None:
        return
    wanted = trace.Filter(
        state=state or "",
        platform=platform or "",
        bot=bot or "",
        conversation=conversation or "",
        sender=sender or "",
        unfinished=unfinished,
        since_s=since,
        before_id=before_id,
    )
    with reading() as connection:
        rows = trace.list_messages(connection, wanted, limit=limit)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
        return
    table = Table("id", "received", "platform", "bot", "state", "kind", "took", "text")
    for row in rows:
        took = row["finished_at"] - row["received_at"] if row["finished_at"] else None
        table.add_row(
            str(row["id"]),
            _clock(row["received_at"]),
            row["platform"],
            row["bot"],
            row["state"] + (f" ({row['verdict']})" if row["verdict"] else ""),
            row["label"] or "",
            "" if took is None else _span(took),
            _shorten(row["text"]),
        )
    Console().print(table)
    if len(rows) == limit:
        click.echo(f"more: mindbot messages --before {rows[-1]['id']}")


def _shorten(text: str, width: int = 40) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


@messages.command()
@click.argument("message_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
@told_plainly
def show(message_id: int, as_json: bool) -> None:
    """Show one message with its whole timeline."""
    with reading() as connection:
        found = trace.get_trace(connection, message_id)
    if found is None:
        raise MindBotError(f"there is no message {message_id}")
    if as_json:
        click.echo(
            json.dumps(
                {
                    "message": found.message,
                    "answer": found.answer,
                    "events": [vars_of(event) for event in found.events],
                    "sends": [vars_of(sent) for sent in found.sends],
                },
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    console = Console()
    message = found.message
    console.print(f"[bold]message {message['id']}[/bold]  {message['state']}", highlight=False)
    facts = Table(show_header=False, box=None)
    facts.add_row("from", f"{message['sender_name'] or ''} ({message['sender_ref']})")
    facts.add_row("where", f"{message['platform']} / {message['bot']} / {message['conversation_ref']}")
    facts.add_row("received", _clock(message["received_at"]))
    facts.add_row("question", message["text"])
    if message["label"]:
        facts.add_row("kind", f"{message['label']} ({message['confidence']:.2f})")
    if found.answer is not None:
        origin = " / ".join(filter(None, (found.answer["workflow"], found.answer["provider"], found.answer["model"])))
        facts.add_row("answered by", f"{origin} in {_span(found.answer['latency_ms'])}")
        facts.add_row("answer", found.answer["text"])
    if message["last_error"]:
        facts.add_row("last error", message["last_error"])
    console.print(facts)
    timeline = Table("at", "step", "state", "try", "after", "worker", "note", title="timeline", title_justify="left")
    for event in found.events:
        timeline.add_row(
            _clock(event.at),
            event.step,
            event.state,
            str(event.attempt),
            _span(event.took_ms),
            event.worker,
            event.note,
        )
    console.print(timeline)
    for sent in found.sends:
        console.print(f"sent piece {sent.part + 1} at {_clock(sent.sent_at)} {sent.external_id} {sent.note}".rstrip())


def vars_of(item: trace.Event | trace.Sent) -> dict[str, Any]:
    """A slotted dataclass as a dict."""
    return {name: getattr(item, name) for name in item.__dataclass_fields__}


@click.command()
@click.argument("message_id", type=int)
@click.option(
    "--from",
    "stage",
    type=click.Choice([str(Stage.CLASSIFY), str(Stage.GENERATE), str(Stage.REPLY)]),
    default=str(Stage.CLASSIFY),
    show_default=True,
    help="The stage to begin with; `reply` sends the saved answer once more.",
)
@click.option("--force", is_flag=True, help="Also a message that is still on its way.")
@told_plainly
def replay(message_id: int, stage: str, force: bool) -> None:
    """Send a message through again."""
    from mindbot_tasks import chains
    from mindbot_tasks.stores import replaying

    deadline_ms = int(get_settings().times.message_deadline_s * 1000)
    with transaction() as connection:
        replaying.rewind(connection, message_id, Stage(stage), deadline_ms=deadline_ms, force=force)
    if chains.start(message_id, Stage(stage)):
        click.echo(f"message {message_id} goes through again from {stage}; see: mindbot messages show {message_id}")
    else:
        click.echo(f"message {message_id} is ready; the broker does not answer, so the sweeper will start it")
