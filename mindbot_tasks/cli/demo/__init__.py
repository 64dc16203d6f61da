"""`mindbot demo`: one message through each door of a MindBot of its own, against emulators, with the transcript."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from mindbot_tasks.cli.demo import doors
from mindbot_tasks.cli.demo.stack import Stack, running_stack
from mindbot_tasks.cli.demo.transcript import as_record, transcript
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.supervision.banner import wide
from mindbot_tasks.core.words import Lang, lang_of, say

ANSWER_S = 60.0


class _Ended(BaseException):
    """Somebody asked for the end; not an error."""


@click.command()
@click.option("--keep", is_flag=True, help="Go on running until Ctrl-C, and show where to look.")
@click.option("--json", "as_json", is_flag=True, help="The transcript as one JSON object.")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Default: what LC_ALL, LC_MESSAGES or LANG say.")
@told_plainly
def demo(keep: bool, as_json: bool, lang: Lang | None) -> None:
    """Send one message through each door, against emulators; touches nothing of yours."""
    language = lang or lang_of()
    try:
        with _ending_in_order(), running_stack(language, _tell, with_flower=keep) as stack:
            exchanges = _converse(stack, language)
            if as_json:
                records = {"ok": True, "messages": [as_record(exchange) for exchange in exchanges]}
                click.echo(json.dumps(records, ensure_ascii=False, indent=2))
            else:
                click.echo(transcript(exchanges, language))
            if keep:
                _show_urls(stack, language)
                threading.Event().wait()
    except _Ended:
        sys.exit(0 if keep else 130)
    if not as_json:
        click.echo("\n" + say("demo.done", language, count=len(exchanges)))


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Ctrl-C, TERM and HUP end the demo by the same way as its own end: everything that was started is stopped."""

    def end(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)  # once is enough; stopping has its own Ctrl-C
        raise _Ended

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _converse(stack: Stack, lang: Lang) -> list[doors.Exchange]:
    """Ask at every door and wait for all answers. Raises DemoFailed."""
    asked = doors.doors(stack, lang)
    for door in asked:
        door.send()
        where = say(f"demo.{door.exchange.door}", lang)
        _tell(say("demo.sent", lang, door=where, ms=f"{door.exchange.acknowledged_ms:.0f}"))
    give_up_at = time.monotonic() + ANSWER_S
    left = asked
    while left:
        before = left
        left = doors.wait_for_answers(stack, left, lang, patience_s=give_up_at - time.monotonic())
        for door in before:
            if door not in left:
                where = say(f"demo.{door.exchange.door}", lang)
                _tell(say("demo.answered", lang, door=where, ms=door.exchange.total_ms))
        if left:
            time.sleep(doors.LOOK_EVERY_S)
    return [door.exchange for door in asked]


def _show_urls(stack: Stack, lang: Lang) -> None:
    """On standard error, so that `--json` stays JSON."""
    vendors = (stack.dingtalk, stack.wecom, stack.dify, stack.openai)
    rows = [
        (say("demo.url_playground", lang), f"{stack.url}/"),
        (say("demo.url_health", lang), f"{stack.url}/readyz"),
        (say("demo.url_metrics", lang), f"{stack.url}/metrics"),
        ("Flower", f"http://127.0.0.1:{stack.flower_port}/  ({stack.home / 'flower.auth'})"),
        (say("demo.url_config", lang), str(stack.home.parent / "mindbot.yaml")),
        (
            say("demo.url_emulators", lang),
            "  ".join(vendor.url for vendor in vendors),
        ),
    ]
    width = max(wide(label) for label, _ in rows)
    click.echo("\n" + "\n".join(f"  {label}{' ' * (width - wide(label))}  {url}" for label, url in rows), err=True)
    click.echo("\n  " + say("demo.kept", lang), err=True)


_began_at = time.monotonic()


def _tell(text: str) -> None:
    """Progress goes to standard error with the seconds since the start."""
    click.echo(f"{time.monotonic() - _began_at:5.1f} s  {text}", err=True)
