"""`mindbot send`: a message to somebody who has not asked for it."""

from __future__ import annotations

import uuid

import click

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import lang_of, say
from mindbot_tasks.model.message import Part
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import WritesFirst


@click.command()
@click.argument("platform_name", metavar="PLATFORM")
@click.argument("text")
@click.option("--bot", default=registry.DEFAULT_BOT, show_default=True, help="Which bot of the platform.")
@click.option("--user", default="", help="To this person (the platform's id).")
@click.option("--conversation", default="", help="To this group (the platform's id).")
@click.option("--key", default="", help="Handed in twice with the same key, it is sent once.")
@told_plainly
def send(platform_name: str, text: str, bot: str, user: str, conversation: str, key: str) -> None:
    """Send a message that nobody asked for."""
    from mindbot_tasks import intake

    lang = lang_of(get_settings().language)
    if bool(user) == bool(conversation):
        raise SettingsError(say("send.to_whom", lang))
    platform = registry.get(platform_name, bot)
    if not isinstance(platform, WritesFirst):
        raise SettingsError(say("send.cannot", lang, platform=platform_name))
    sent = intake.send(
        platform, [Part("markdown", text)], user_id=user, conversation_id=conversation, key=key or uuid.uuid4().hex
    )
    click.echo(say("send.sent" if sent.fresh else "send.known", lang, id=sent.message_id))
