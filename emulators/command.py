"""The command line of the emulators: `python -m emulators NAME`, and the same as `mindbot emulate NAME`."""

from __future__ import annotations

import asyncio
import functools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson
from aiohttp import web
from pydantic import ValidationError

from emulators import anthropic, coze, dify, dingtalk, gemini, incidents, ollama, openai, oscar, otlp, smtp
from emulators.faults import AnyRule, parse_rules
from emulators.sms import alibaba, twilio


class Rules(click.ParamType[list[AnyRule]]):
    """JSON text of one fault rule or of a list of them."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[AnyRule]:
        try:
            return parse_rules(orjson.loads(value))
        except (ValidationError, orjson.JSONDecodeError) as exc:
            self.fail(str(exc), param, ctx)


def served(command: Callable[..., web.Application]) -> Callable[..., None]:
    """Give a function that makes an application the options of all emulators, and serve what it makes."""

    @functools.wraps(command)  # takes the options along that are declared below `served`
    def run(
        *, host: str, port: int, with_parent: bool, fault: tuple[list[AnyRule], ...], log: Path | None, **options: Any
    ) -> None:
        app = command(log=log, faults=[rule for rules in fault for rule in rules], **options)
        try:
            asyncio.run(_serve(app, host, port, with_parent))
        except OSError as exc:
            raise click.ClickException(f"cannot listen on {host}:{port}: {exc.strerror}") from exc

    for option in (
        click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input is closed."),
        click.option("--fault", type=Rules(), multiple=True, help="A fault from the start on; may be repeated."),
        click.option("--tokens-per-second", type=click.FloatRange(0), default=0, help="0: the whole answer at once."),
        click.option("--delay-ms", type=click.FloatRange(0), default=0, help="Before the first byte of an answer."),
        click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="Append a line for each call."),
        click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: a free one."),
        click.option("--host", default="127.0.0.1", show_default=True),
    ):
        run = option(run)
    return run


def models(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of servers that offer models and take keys."""
    for option in (
        click.option("--words", type=click.IntRange(0), default=0, help="Make each answer longer by so many words."),
        click.option(
            "--model", "models", multiple=True, help="A model that exists; may be repeated. Default: every name."
        ),
        click.option("--api-key", default="", help="Refuse other keys. Default: every key is taken."),
    ):
        command = option(command)
    return command


@click.group(name="emulate")
def emulate() -> None:
    """Stand-ins of vendors, for trying and testing without accounts."""


@emulate.command(name="openai")
@served
@models
@click.option("--thinks", is_flag=True, help="Think before each answer, as GLM does, unless told not to.")
@click.option("--prefix", default="/v1", show_default=True, help="Where the API is, such as /api/paas/v4.")
@click.option("--shutdown", "shutdowns", multiple=True, metavar="MODEL=DAY", help="A day on which a model ends.")
def openai_command(**options: Any) -> web.Application:
    """A model server with OpenAI's chat completions."""
    return openai.create_app(**options)


@emulate.command(name="anthropic")
@served
@models
def anthropic_command(**options: Any) -> web.Application:
    """Anthropic's messages API."""
    return anthropic.create_app(**options)


@emulate.command(name="gemini")
@served
@models
def gemini_command(**options: Any) -> web.Application:
    """Google's Gemini API."""
    return gemini.create_app(**options)


@emulate.command(name="ollama")
@served
@click.option("--api-key", default="", help="Refuse other keys, as a proxy would. Default: nobody is asked for one.")
@click.option("--model", "models", multiple=True, help="A model that is there; may be repeated. Default: every name.")
@click.option("--words", type=click.IntRange(0), default=0, help="Make each answer longer by so many words.")
@click.option("--thinks", is_flag=True, help="Think before each answer, unless told not to.")
def ollama_command(**options: Any) -> web.Application:
    """Ollama's own API."""
    return ollama.create_app(**options)


@emulate.command(name="coze")
@served
@click.option("--api-key", default="", help="Refuse other tokens. Default: every token is taken.")
@click.option("--bot", "bots", multiple=True, help="A bot that is published; may be repeated. Default: every id.")
@click.option("--words", type=click.IntRange(0), default=0, help="Make each answer longer by so many words.")
def coze_command(**options: Any) -> web.Application:
    """Coze's chat v3."""
    return coze.create_app(**options)


@emulate.command(name="dify")
@served
@click.option("--app", "apps", multiple=True, metavar="KEY=MODE[:VARIABLE]", help="An app by its key; may be "
              "repeated. Modes: chat, agent-chat, advanced-chat, completion, workflow; the last two take the question "
              "in an input variable (query).")  # fmt: skip
@click.option("--words", type=click.IntRange(0), default=0, help="Make each answer longer by so many words.")
@click.option("--upload", "uploads", multiple=True, metavar="TYPE", help="A type of files that the apps want: image, "
              "document, audio, video; may be repeated. Default: none.")  # fmt: skip
@click.option("--ping-every-s", type=click.FloatRange(0.01), default=10, help="Pause between keep-alive lines.")
def dify_command(*, apps: tuple[str, ...], **options: Any) -> web.Application:
    """Dify's service API: chat apps, agents, chatflows, completion apps and workflows.

    A question that begins with draw, cite, approve, fail or partly gets what it asks for.
    """
    try:
        return dify.create_app(apps=dify.parse_apps(apps), **options)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--app") from exc


@emulate.command(name="dingtalk")
@served
@click.option("--app-key", default="", help="Refuse other apps. Default: every app is taken.")
@click.option("--app-secret", default="", help="The secret that goes with --app-key.")
@click.option("--token-lifetime-s", type=click.FloatRange(0.01), default=7200)
def dingtalk_command(**options: Any) -> web.Application:
    """DingTalk's robot API, and a sender of signed robot callbacks."""
    return dingtalk.create_app(**options)


@emulate.command(name="wecom")
@served
@click.option("--corpid", default="", help="Refuse other enterprises. Default: every one is taken.")
@click.option("--secret", default="", help="The secret that goes with --corpid.")
@click.option("--token-lifetime-s", type=click.FloatRange(0.01), default=7200)
def wecom_command(**options: Any) -> web.Application:
    """WeCom's API of apps and of customer service, and a sender of encrypted callbacks."""
    from emulators import wecom  # here: wechatpy takes its time to load

    return wecom.create_app(**options)


@emulate.command(name="oscar")
@served
@click.option("--oscar-host", default="127.0.0.1", show_default=True, help="Where clients connect.")
@click.option("--oscar-port", type=click.IntRange(0, 65535), default=0, help="0: a free one; /_control/oscar tells.")
@click.option("--account", "accounts", multiple=True, metavar="NAME=PASSWORD", help="An account; may be repeated. "
              "Default: every name is let in.")  # fmt: skip
@click.option("--haste", type=click.FloatRange(0.1), default=1, show_default=True, help="So many times the usual rate "
              "limits.")  # fmt: skip
def oscar_command(*, accounts: tuple[str, ...], **options: Any) -> web.Application:
    """An AIM server (OSCAR), and people who write to its accounts."""
    if wrong := [account for account in accounts if not all(account.partition("="))]:
        raise click.BadParameter(f"{wrong[0]!r} is not NAME=PASSWORD", param_hint="--account")
    known = {account.partition("=")[0]: account.partition("=")[2] for account in accounts}
    return oscar.create_app(accounts=known or None, **options)


@emulate.command(name="twilio")
@served
@click.option("--account-sid", default="", help="Refuse other accounts. Default: every account is taken.")
@click.option("--auth-token", default="", help="Of that account; callbacks are signed with it.")
@click.option("--outcome", type=click.Choice(list(twilio.WAYS)), default="delivered", show_default=True)
@click.option("--callback-ms", type=click.FloatRange(0), default=50, help="Between two status callbacks.")
def twilio_command(**options: Any) -> web.Application:
    """Twilio's SMS, with status callbacks and answers of people."""
    return twilio.create_app(**options)


@emulate.command(name="alibaba-sms")
@served
@click.option("--access-key", default="", help="Refuse other keys and wrong signatures. Default: every call is taken.")
@click.option("--secret-key", default="", help="Of that key.")
@click.option("--outcome", type=click.Choice(["delivered", "undelivered", "silent"]), default="delivered")
def alibaba_command(**options: Any) -> web.Application:
    """Alibaba Cloud's SMS."""
    return alibaba.create_app(**options)


@emulate.command(name="incidents")
@served
@click.option("--key", default="", help="Refuse other keys. Default: every key is taken.")
def incidents_command(**options: Any) -> web.Application:
    """PagerDuty's events and Opsgenie's alerts."""
    return incidents.create_app(**options)


@emulate.command(name="otlp")
@served
def otlp_command(**options: Any) -> web.Application:
    """A collector of OpenTelemetry traces."""
    return otlp.create_app(**options)


@emulate.command(name="smtp")
@served
@click.option("--smtp-host", default="127.0.0.1", show_default=True, help="Where mail is taken.")
@click.option("--smtp-port", type=click.IntRange(0, 65535), default=0, help="0: a free one; /_control/smtp tells.")
@click.option("--username", default="", help="Somebody has to log in. Default: nobody has to.")
@click.option("--password", default="", help="Of that user.")
def smtp_command(**options: Any) -> web.Application:
    """A mail server that keeps what it gets."""
    return smtp.create_app(**options)


async def _serve(app: web.Application, host: str, port: int, with_parent: bool) -> None:
    """Serve until SIGTERM or SIGINT; says where on one line of standard output as soon as it is true."""
    # A call is cancelled when its caller goes away: that is how the log knows.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1, keepalive_timeout=75)
    await runner.setup()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        site = web.TCPSite(runner, host, port, backlog=2048)
        await site.start()
        bound: tuple[str, int] = runner.addresses[0][:2]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        click.echo(f"http://{shown}:{bound[1]}")
        sys.stdout.flush()
        if with_parent:
            await loop.connect_read_pipe(lambda: _UntilClosed(stop), sys.stdin)
        await stop.wait()
    finally:
        await runner.cleanup()


class _UntilClosed(asyncio.Protocol):
    """Sets an event when the other end of a pipe is gone, for instance because its process was killed."""

    def __init__(self, closed: asyncio.Event) -> None:
        self._closed = closed

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()
