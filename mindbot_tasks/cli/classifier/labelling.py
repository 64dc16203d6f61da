"""`mindbot classifier correct`: say what a message really was, for the next training."""

from __future__ import annotations

import getpass

import click

from mindbot_tasks.chat.labels import known_labels
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import lang_of, say
from mindbot_tasks.stores import learning
from mindbot_tasks.stores.database import transaction


@click.command()
@click.argument("message_id", metavar="MESSAGE", type=click.IntRange(1, 2**63 - 1))
@click.argument("label")
@told_plainly
def correct(message_id: int, label: str) -> None:
    """Say that MESSAGE (its number) should have been a LABEL: a workflow's name, or general_chat."""
    settings = get_settings()
    lang = lang_of(settings.language)
    known = known_labels(settings.workflows)
    if label not in known:
        raise PayloadInvalid(say("classifier.no_label", lang, label=label, known=", ".join(sorted(known))))
    with transaction() as connection:
        if not learning.give_label(connection, message_id, label, "correction", getpass.getuser()):
            raise PayloadInvalid(say("classifier.no_message", lang, number=message_id))
    click.echo(say("classifier.noted", lang, number=message_id, label=label))
