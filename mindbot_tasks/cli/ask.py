"""`mindbot ask`: one question to the MindBot that runs here, through its front door, and the answer."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import sys
import time

import click
import orjson

from mindbot_tasks.cli.demo.transcript import answered_by, kind_of
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.following import Seen, follow
from mindbot_tasks.cli.stage_times import stage_times
from mindbot_tasks.cli.supervision.banner import reachable
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, MindBotError
from mindbot_tasks.core.http import get_http
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.model.message import State
from mindbot_tasks.platforms import registry, standard_webhooks


class CannotAsk(MindBotError):
    """The question did not get in, or no answer came out."""


@click.command()
@click.argument("text")
@click.option("--bot", help="A bot of the section `chat`, instead of the playground's.")
@click.option("--url", help="Where MindBot listens; default: PORT and web.host of the configuration.")
@click.option("--conversation", help="Go on in this conversation; default: a new one.")
@click.option("--timeout", "timeout_s", default=120.0, show_default=True, help="Seconds to wait for the answer.")
@click.option("--json", "as_json", is_flag=True, help="Everything about the message as one JSON object.")
@told_plainly
def ask(text: str, bot: str | None, url: str | None, conversation: str | None, timeout_s: float, as_json: bool) -> None:
    """Ask a question; shows the stages as they pass, then the answer."""
    settings = get_settings()
    lang = lang_of(settings.language)
    if not text.strip():
        raise CannotAsk(say("ask.empty", lang))
    name, secret = _who_asks(settings, bot, lang)
    base_url = (url or _base_url(settings)).rstrip("/")
    message_id = _send(base_url, name, secret, text, conversation, lang)
    shown = _Progress(lang, message_id, quiet=as_json)
    seen = Seen()
    keys = [key.get_secret_value() for key in settings.web.api_keys]
    for seen in follow(base_url, keys[0] if keys else "", message_id, Deadline(timeout_s)):
        shown.show(seen)
    if not seen.finished:
        raise CannotAsk(say("ask.too_late", lang, seconds=f"{timeout_s:g}", id=message_id, state=seen.state or "-"))
    answer = seen.view["answer"]
    if as_json:
        click.echo(json.dumps(seen.view, ensure_ascii=False, indent=2))
    elif seen.state == State.REPLIED and answer is not None:
        shown.sources(seen)
        click.echo(answer["text"])
    if seen.state != State.REPLIED:
        if not as_json:
            why = seen.view["error"] or "-"
            click.echo(say("ask.no_answer", lang, id=message_id, state=seen.state, why=why), err=True)
        sys.exit(1)


def _who_asks(settings: Settings, bot: str | None, lang: Lang) -> tuple[str, str]:
    """The bot's name and a secret of its. Raises CannotAsk."""
    if bot is None:
        if not settings.secret_key.get_secret_value():
            raise CannotAsk(say("ask.never_started", lang, home=settings.home))
        if not registry.playground_on(settings):
            raise CannotAsk(say("ask.playground_off", lang))
        return registry.PLAYGROUND, registry.playground_secret(settings)
    if bot not in settings.chat:
        known = ", ".join(settings.chat) or "-"
        raise CannotAsk(say("ask.unknown_bot", lang, bot=bot, known=known))
    own = settings.chat[bot].secrets
    if not own:
        raise CannotAsk(say("ask.no_secret", lang, bot=bot))
    return bot, own[0].get_secret_value()


def _base_url(settings: Settings) -> str:
    host = reachable(os.environ.get("MINDBOT_HOST") or settings.web.host)
    return f"http://[{host}]:{settings.web.port}" if ":" in host else f"http://{host}:{settings.web.port}"


def _send(base_url: str, bot: str, secret: str, text: str, conversation: str | None, lang: Lang) -> int:
    """Post the signed webhook; returns our id of the message. Raises CannotAsk."""
    person = f"cli-{getpass.getuser()}"
    event = {
        "type": "message.created",
        "data": {
            "text": text,
            "conversation_id": conversation or f"{person}-{secrets.token_hex(6)}",
            "user_id": person,
            "user_name": person,
        },
    }
    body = orjson.dumps(event)
    headers = standard_webhooks.sign([secret], "cli_" + secrets.token_hex(12), body, now_s=int(time.time()))
    path = f"/webhooks/chat/{bot}"
    try:
        response = get_http().request(
            "POST",
            base_url + path,
            deadline=Deadline(10),
            provider="mindbot",
            headers={"Content-Type": "application/json", **headers},
            body=body,
        )
    except FarSideError as problem:
        raise CannotAsk(say("ask.not_running", lang, url=base_url, why=problem)) from problem
    if response.status != 200:
        reasons = {401: "ask.refused_401", 404: "ask.refused_404", 503: "ask.refused_503"}
        raise CannotAsk(say(reasons.get(response.status, "ask.refused"), lang, path=path, status=response.status))
    acknowledged = response.json_or_none()
    message_id = acknowledged.get("id") if isinstance(acknowledged, dict) else None
    if not isinstance(message_id, int):
        raise CannotAsk(say("ask.somebody_else", lang, url=base_url))
    return message_id


class _Progress:
    """The stages on standard error, each when it is over, and how the answer grows."""

    def __init__(self, lang: Lang, message_id: int, *, quiet: bool) -> None:
        self._lang = lang
        self._quiet = quiet
        self._told = 0
        self._growing = sys.stderr.isatty() and not quiet
        self._tell(say("ask.accepted", lang, id=message_id))

    def show(self, seen: Seen) -> None:
        """Whatever is new."""
        ended = [time for time in stage_times(seen.steps) if not _is_running(time.stage, seen.steps)]
        for time_of in ended[self._told :]:
            self._tell(
                say("ask.stage", self._lang, stage=time_of.stage, waited=time_of.waited_ms, took=time_of.took_ms)
            )
        self._told = max(self._told, len(ended))
        if seen.text and not seen.finished and self._growing:
            click.echo(f"\r  {say('ask.growing', self._lang, count=len(seen.text))}", nl=False, err=True)

    def sources(self, seen: Seen) -> None:
        """Who answered, before the answer itself."""
        took_ms = seen.view["finished_at"] - seen.view["received_at"]
        self._tell(f"{kind_of(seen.view, self._lang)}; {answered_by(seen.view, self._lang)}")
        self._tell(say("ask.took", self._lang, ms=took_ms, id=seen.view["id"]))

    def _tell(self, text: str) -> None:
        if not self._quiet:
            click.echo(f"\r\033[K  {text}" if self._growing else f"  {text}", err=True)


def _is_running(stage: str, steps: list[tuple[str, int]]) -> bool:
    """The latest step says that this stage has begun, or has sent a piece."""
    latest = steps[-1][0] if steps else ""
    return latest in (f"{stage}:started", "part_sent")
