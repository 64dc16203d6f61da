"""`mindbot kb add`: files, folders and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.kb.common import base_named, follow
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import lang_of, say
from mindbot_tasks.knowledge.extraction import MAX_BYTES, Unreadable, kind_of
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.database import transaction

_MOST_FILES = 20_000


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--base", default="", metavar="NAME", help="Which knowledge base; default: chromadb.collection_name.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0), default=600, show_default=True, help="Seconds to follow it."
)
@told_plainly
def add(sources: tuple[str, ...], base: str, wait_s: float) -> None:
    """Have SOURCES read: files, folders, or addresses of pages. What is known already is read again if it changed."""
    settings = get_settings()
    lang = lang_of(settings.language)
    name = base_named(settings, base)
    ids = []
    for source in sources:
        if source.startswith(("http://", "https://")):
            with transaction(durable=True) as connection:
                number, _ = knowledge.add(connection, name, source, "url", source, None)
            ids.append(number)
            continue
        for path in _files(Path(source)):
            try:
                kind_of(path.name)
                content = _bytes(path)
            except Unreadable as exc:
                if not Path(source).is_dir():
                    raise
                if path.suffix.lower() in (".pdf", ".doc", ".xls", ".ppt"):
                    click.echo(say("kb.skipped", lang, source=path, why=exc))
                continue
            with transaction(durable=True) as connection:
                number, _ = knowledge.add(connection, name, path.as_posix(), "file", path.stem, content)
            ids.append(number)
    if not ids:
        raise SettingsError(say("kb.nothing_to_add", lang))
    if settings.chromadb is None:
        click.echo(say("kb.words_only", lang))
    follow(settings, ids, lang, wait_s=wait_s)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Unreadable(f"larger than {MAX_BYTES // 1_000_000} MB")
        return path.read_bytes()
    except OSError as exc:
        raise Unreadable(f"{path}: {exc.strerror}") from None


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = 0
    for inner in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in inner.relative_to(path).parts)
        if inner.is_file() and not hidden and not inner.is_symlink():
            found += 1
            if found > _MOST_FILES:
                raise SettingsError(f"more than {_MOST_FILES:,} files in {path}")
            yield inner
