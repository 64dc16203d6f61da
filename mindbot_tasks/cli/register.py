"""`mindbot register`: tells platforms, by their API, where to post what their consoles have no field for."""

from __future__ import annotations

import click

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import lang_of, say
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import Registers

_CALL_S = 15.0


@click.command()
@click.argument("url", required=False)
@told_plainly
def register(url: str | None) -> None:
    """Register this MindBot's public address URL, by default web.public_url; safe to run again."""
    settings = get_settings()
    lang = lang_of(settings.language)
    url = url or settings.web.public_url
    if not url.startswith(("https://", "http://")):
        raise SettingsError(say("register.https", lang))
    told = 0
    for name, bot in registry.enabled(settings):
        platform = registry.get(name, bot)
        if not isinstance(platform, Registers):
            continue
        door = f"{url.rstrip('/')}/webhooks/{name}" + ("" if bot == registry.DEFAULT_BOT else f"/{bot}")
        if kept := platform.register(door, Deadline(_CALL_S)):
            told += 1
            click.echo(say("register.done", lang, platform=name, bot=bot, name=kept, url=door))
    if not told:
        click.echo(say("register.nothing", lang))
