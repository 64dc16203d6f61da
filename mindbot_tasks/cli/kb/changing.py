"""`mindbot kb remove` and `mindbot kb reindex`."""

from __future__ import annotations

import click

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.kb.common import base_named, follow, numbers_of, wake_workers
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, SettingsError
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import lang_of, say
from mindbot_tasks.knowledge import indexing
from mindbot_tasks.knowledge.chroma import collection_of, get_chroma
from mindbot_tasks.knowledge.ingesting import work_off
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.database import reading, transaction


@click.command()
@click.argument("document")
@click.option("--base", default="", metavar="NAME", help="Which knowledge base; default: chromadb.collection_name.")
@told_plainly
def remove(document: str, base: str) -> None:
    """Take DOCUMENT away (a number, a source, or the folder of several); it is not found from this moment on."""
    settings = get_settings()
    lang = lang_of(settings.language)
    ids = numbers_of(settings, document, base_named(settings, base), lang)
    with transaction(durable=True) as connection:
        knowledge.remove(connection, ids)
    if settings.chromadb is None:
        work_off(settings, seconds=60, only=ids)
    else:
        wake_workers()
    click.echo(say("kb.removed", lang, count=len(ids)))


@click.command()
@click.argument("base", default="")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0), default=600, show_default=True, help="Seconds to follow it."
)
@told_plainly
def reindex(base: str, wait_s: float) -> None:
    """Make all vectors of BASE, and the word index, anew from the database, such as for another embedding model."""
    settings = get_settings()
    lang = lang_of(settings.language)
    name = base_named(settings, base)
    with reading() as connection:
        if name not in knowledge.bases(connection):
            raise SettingsError(say("kb.no_base", lang, name=name))
    if settings.chromadb is not None:
        try:
            get_chroma(settings).drop(collection_of(name), Deadline(10))
        except FarSideError as exc:
            raise SettingsError(f"chroma: {exc}") from None
    with transaction(durable=True) as connection:
        count = knowledge.reindex(connection, name)
    indexing.forget(settings.home, name)
    click.echo(say("kb.reindexed", lang, count=count))
    with reading() as connection:
        ids = [row.id for row in knowledge.listed(connection, name)]
    follow(settings, ids, lang, wait_s=wait_s)
