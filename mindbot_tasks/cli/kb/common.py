"""What the commands about documents share."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.knowledge.ingesting import work_off
from mindbot_tasks.knowledge.retrieval import default_base
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.knowledge import FAILED, READY


def base_named(settings: Settings, name: str) -> str:
    """The knowledge base of this name, else the usual one. Raises SettingsError for a name that is none."""
    if not name:
        return default_base(settings)
    if not 3 <= len(name) <= 63 or not all(
        part.isalnum() and part.isascii() for part in name.replace("_", "-").split("-")
    ):
        raise SettingsError("a knowledge base is named with 3 to 63 letters and digits, with - or _ between them")
    return name


def numbers_of(settings: Settings, name: str, base: str, lang: Lang) -> list[int]:
    """The documents that a number, a source or the start of sources means. Raises SettingsError if there is none."""
    with reading() as connection:
        rows = knowledge.listed(connection, base)
    if name.isdigit():
        found = [row.id for row in rows if row.id == int(name)]
    else:
        wanted = name.rstrip("/")
        found = [row.id for row in rows if row.source == name or row.source.startswith(f"{wanted}/")]
    if not found:
        raise SettingsError(say("kb.not_found", lang, name=name))
    return found


def wake_workers() -> None:
    """Whoever reads documents looks now, and not only in ten seconds."""
    from mindbot_tasks import chains  # loads Celery

    chains.read_documents()


def follow(settings: Settings, ids: Sequence[int], lang: Lang, *, wait_s: float) -> None:
    """A bar until these documents are done; without `chromadb` there is no worker, so the work is done here."""
    if settings.chromadb is not None:
        wake_workers()
    ends_at = time.monotonic() + wait_s
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        disable=not sys.stdout.isatty(),
    ) as progress:
        bar = progress.add_task(say("kb.reading", lang), total=len(ids))
        while time.monotonic() < ends_at:
            if settings.chromadb is None:
                work_off(settings, seconds=5, only=ids)
            with reading() as connection:
                left = knowledge.unfinished(connection, ids)
            progress.update(bar, completed=len(ids) - left)
            if not left:
                break
            time.sleep(0.3)
    with reading() as connection:
        rows = knowledge.listed(connection, ids=ids)
    states = Counter(row.state if row.due_at is None else "waiting" for row in rows)
    for row in rows:
        if row.state == FAILED or row.error or row.note:
            click.echo(f"  {row.source}: {row.error or row.note}")
    waiting = len(rows) - states[READY] - states[FAILED]
    click.echo(say("kb.done", lang, ready=states[READY], failed=states[FAILED], waiting=waiting))
    if waiting:
        click.echo(say("kb.left", lang))
