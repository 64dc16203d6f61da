"""`mindbot messages` and `mindbot replay`: what happened to a message, and once more, please."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mindbot_tasks.cli import tables
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.errors import MindBotError
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.stores import trace
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.feedback import Vote

_SINCE = re.compile(r"(?P<number>\d+)(?P<unit>[smhd])")
GAP = 2  #: blanks between two columns
_LEAST_TEXT = 16
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Since(click.ParamType[float]):
    """A span of time such as 90s, 15m, 2h or 7d; becomes seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _SINCE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no span of time; write 90s, 15m, 2h or 7d", param, ctx)
        return float(int(match["number"]) * _UNIT_S[match["unit"]])


def _clock(milliseconds: int | None, *, precise: bool = False) -> str:
    """The time of day here; with the date when that is not today's."""
    if milliseconds is None:
        return ""
    moment = datetime.fromtimestamp(milliseconds / 1000).astimezone()
    day = "" if moment.date() == datetime.now().astimezone().date() else f"{moment:%Y-%m-%d} "
    return day + (f"{moment:%H:%M:%S.%f}"[:-3] if precise else f"{moment:%H:%M:%S}")


def _span(milliseconds: int) -> str:
    return f"{milliseconds} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"


def _lang() -> Lang:
    return lang_of(get_settings().language)


@click.group(invoke_without_command=True)
@click.option("--state", type=click.Choice([str(state) for state in State]), help="Only messages in this state.")
@click.option("--platform", help="Only this platform.")
@click.option("--bot", help="Only this bot.")
@click.option("--conversation", help="Only this conversation (the platform's id).")
@click.option("--sender", help="Only this person (the platform's id).")
@click.option("--unfinished", is_flag=True, help="Only messages that are still on their way.")
@click.option("--since", type=Since(), help="Only messages received in the last 90s, 15m, 2h, 7d ...")
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
    _show_list(rows, limit, _lang())


def _show_list(rows: list[dict[str, Any]], limit: int, lang: Lang) -> None:
    console = Console()
    heads = [say(f"messages.{head}", lang) for head in ("id", "received", "platform", "state", "kind", "took")]
    lines = [_line(row) for row in rows]
    # the text gets what the others leave, and they are never cut: rich would share the loss among all
    others = sum(max(map(cell_len, column)) + GAP for column in zip(heads, *lines, strict=True))
    texts = [Text(" ".join(row["text"].split())) for row in rows]
    if others > console.width:
        tables.show(
            [*heads, say("messages.text", lang)], [[*line, str(text)] for line, text in zip(lines, texts, strict=True)]
        )
    else:
        _print_list(console, heads, lines, texts, console.width - others, lang)
    if len(rows) == limit:
        click.echo(say("messages.more", lang, id=rows[-1]["id"]))
    elif not rows:
        click.echo(say("messages.none", lang))


def _print_list(
    console: Console, heads: list[str], lines: list[list[str]], texts: list[Text], left: int, lang: Lang
) -> None:
    """left: how many columns the text has; with too few it goes into a line of its own."""
    widths = [max(map(cell_len, column)) for column in zip(heads, *lines, strict=True)]
    below = left < _LEAST_TEXT
    table = _table()
    for head, width in zip(heads, widths, strict=True):
        table.add_column(head, min_width=width, no_wrap=True)
    if not below:
        table.add_column(say("messages.text", lang), no_wrap=True)
    for number, (line, text) in enumerate(zip(lines, texts, strict=True)):
        text.truncate(console.width - 2 * GAP if below else left, overflow="ellipsis")
        table.add_row(*line, *([] if below else [text]))
        if below:
            table.show_header = number == 0
            console.print(table, text, sep="\n")
            table.rows.clear()
    if not below:
        console.print(table)


def _line(row: dict[str, Any]) -> list[str]:
    took = row["finished_at"] - row["received_at"] if row["finished_at"] else None
    return [
        str(row["id"]),
        _clock(row["received_at"]),
        _door(row),
        row["state"] + (f" ({row['verdict']})" if row["verdict"] else ""),
        row["label"] or "",
        "" if took is None else _span(took),
    ]


def _table() -> Table:
    """Without lines, which would cost columns."""
    return Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")


def _door(row: dict[str, Any]) -> str:
    """The platform, and the bot where that is not the only one."""
    return row["platform"] if row["bot"] == "default" else f"{row['platform']}/{row['bot']}"


@messages.command()
@click.argument("message_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
@told_plainly
def show(message_id: int, as_json: bool) -> None:
    """Show one message with its whole timeline."""
    with reading() as connection:
        found = trace.get_trace(connection, message_id)
    if found is None:
        raise MindBotError(say("messages.unknown", _lang(), id=message_id))
    if as_json:
        click.echo(
            json.dumps(
                {
                    "message": found.message,
                    "answer": found.answer,
                    "events": [vars_of(event) for event in found.events],
                    "sends": [vars_of(sent) for sent in found.sends],
                    "votes": [vars_of(vote) for vote in found.votes],
                },
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    _show_one(found, _lang())


def _show_one(found: trace.Trace, lang: Lang) -> None:
    console = Console(highlight=False)
    message = found.message
    state = message["state"] + (f" ({message['verdict']})" if message["verdict"] else "")
    console.print(f"[bold]{say('messages.message', lang, id=message['id'])}[/bold]  {state}")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for name, text in _facts(found, lang):
        facts.add_row(name, escape(text))
    console.print(facts)
    console.print()
    timeline = _table()
    for head in ("at", "step", "after", "try", "worker"):
        timeline.add_column(say(f"messages.{head}", lang), no_wrap=True, justify="right" if head == "after" else "left")
    timeline.add_column(say("messages.note", lang), overflow="fold")
    for event in found.events:
        timeline.add_row(
            _clock(event.at, precise=True),
            escape(event.step),
            _span(event.took_ms),
            str(event.attempt),
            event.worker.partition("@")[0],  # the whole name is in --json
            escape(event.note),
        )
    console.print(timeline)
    console.print()
    for sent in found.sends:
        at = _clock(sent.sent_at, precise=True)
        told = say("messages.piece", lang, number=sent.part + 1, at=at, id=sent.external_id or "-")
        console.print(escape(f"{told}  {sent.note}".rstrip()))
    for vote in found.votes:
        at = _clock(vote.voted_at, precise=True)
        console.print(escape(say(f"messages.vote_{vote.vote}", lang, user=vote.user_ref, at=at)))


def _facts(found: trace.Trace, lang: Lang) -> Iterator[tuple[str, str]]:
    message, answer = found.message, found.answer

    def name(key: str) -> str:
        return say(f"messages.{key}", lang)

    sender = message["sender_name"]
    yield name("from"), f"{sender} ({message['sender_ref']})" if sender else message["sender_ref"]
    yield name("where"), f"{_door(message)}, {message['conversation_ref']}"
    yield name("received"), _clock(message["received_at"], precise=True)
    yield name("question"), message["text"]
    if message["label"]:
        reason = (message["classification"] or {}).get("reason", "")
        yield name("kind"), f"{message['label']} ({message['confidence']:.2f}; {reason})"
    if answer is not None:
        origin = " / ".join(filter(None, (answer["workflow"], answer["provider"], answer["model"])))
        yield name("answered_by"), f"{origin}, {_span(answer['latency_ms'])}"
        yield name("answer"), answer["text"]
    if message["trace_id"]:
        traced = get_settings().telemetry
        view = f"  {traced.view_url}/{message['trace_id']}" if traced is not None and traced.view_url else ""
        yield name("trace"), message["trace_id"] + view
    if message["last_error"]:
        yield name("last_error"), message["last_error"]


def vars_of(item: trace.Event | trace.Sent | Vote) -> dict[str, Any]:
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
    from mindbot_tasks.platforms.queues import reply_queue
    from mindbot_tasks.stores import replaying

    deadline_ms = int(get_settings().times.message_deadline_s * 1000)
    with transaction() as connection:
        bot = replaying.rewind(connection, message_id, Stage(stage), deadline_ms=deadline_ms, force=force)
    started = chains.start(message_id, Stage(stage), reply_queue(*bot))
    click.echo(say("messages.replayed" if started else "messages.replay_later", _lang(), id=message_id, stage=stage))
