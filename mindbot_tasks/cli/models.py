"""`mindbot models`: the configured models, whether their providers still serve them, until when, and at what price."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import click
import redis

from mindbot_tasks.cli import tables
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Unavailable
from mindbot_tasks.core.http import Patience
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.llm import catalogue
from mindbot_tasks.llm.keys import Ring
from mindbot_tasks.llm.listing import Caller, Listed, is_listed

CALL_S = 10.0
_PATIENCE = Patience(connect_s=3, first_byte_s=8, gap_s=5)

#: what is known of a model: it is in the list, it is not, it is gone by what we know, its provider has no list or does
#: not answer, or nobody asked
SERVED, MISSING, GONE, UNKNOWN = "served", "missing", "gone", "unknown"


@dataclass(slots=True)
class Row:
    """One configured model."""

    provider: str
    model: str
    state: str = UNKNOWN
    shutdown: date | None = None
    instead: str = ""
    price: tuple[float, float] | None = None
    context_tokens: int = 0
    sees: bool = False


@dataclass(slots=True)
class Asked:
    """One provider: what it lists, or why nobody knows."""

    name: str
    listed: tuple[Listed, ...] | None = None
    problem: str = ""
    keys: list[tuple[str, str, float]] = field(default_factory=list)  #: how it is called, why it rests, for how long


@click.command()
@click.option("--provider", "only", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--offline", is_flag=True, help="Ask nobody; say what is known from models.yaml.")
@click.option("--all", "everything", is_flag=True, help="Also list every model that the providers offer.")
@click.option("--retry-keys", is_flag=True, help="First let API keys that were set aside be used again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@told_plainly
def models(only: tuple[str, ...], offline: bool, everything: bool, retry_keys: bool, as_json: bool) -> None:
    """List the configured models. Exit code 1 when one of them is not served any more."""
    settings = get_settings()
    lang = lang_of(settings.language)
    names = [
        name
        for name in catalogue.provider_order(settings)
        if (not only or name in only)
        and settings.providers[name].enabled
        and catalogue.protocol_of(name, settings.providers[name]) != "dify"
    ]
    if unknown := sorted(set(only) - set(settings.providers)):
        raise click.BadParameter(", ".join(unknown), param_hint="--provider")
    if retry_keys:
        _forget(settings, names)
    asked = look(settings, names, offline=offline)
    rows = rows_of(settings, asked, datetime.now(UTC).date())
    if as_json:
        click.echo(json.dumps(_told(rows, asked, everything=everything), indent=2, ensure_ascii=False))
    else:
        _show(settings, rows, asked, lang, everything=everything)
    sys.exit(1 if any(row.state in (MISSING, GONE) for row in rows) else 0)


def look(settings: Settings, names: Sequence[str], *, offline: bool) -> list[Asked]:
    """Ask all of them at the same time, each with a key that is not set aside."""

    def one(name: str) -> Asked:
        provider = settings.providers[name]
        asked = Asked(name, problem=catalogue.why_not(name, provider))
        key = ""
        if len(provider.api_keys) > 1:
            ring = Ring(f"provider:{name}", provider.api_keys)
            asked.keys = ring.states()
            key = next((ring.keys[at].get_secret_value() for at in ring.usable()), "")
        if offline or asked.problem:
            return asked
        try:
            asked.listed = Caller(name, provider, key, patience=_PATIENCE).models(Deadline(CALL_S))
        except FarSideError as exc:
            asked.problem = " ".join(str(part) for part in (exc.kind, exc.status, exc.code) if part)
        return asked

    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(one, names))


def rows_of(settings: Settings, asked: Sequence[Asked], today: date) -> list[Row]:
    """What is known of each configured model, from its provider's list and from our own data. Pure."""
    rows = []
    for each in asked:
        provider = settings.providers[each.name]
        vendor = catalogue.vendor_for(each.name, provider)
        for model in provider.models:
            row = Row(each.name, model.name, sees=bool(model.vision))
            price = catalogue.price_of_model(settings, each.name, model.name)
            row.price = (price.input, price.output) if price else None
            row.context_tokens = catalogue.context_tokens_of(settings, each.name, model.name)
            gone = vendor.gone(model.name) if vendor else None
            if gone is not None:
                row.shutdown, row.instead = gone.on, gone.instead
            found = is_listed(model.name, each.listed or ())
            if found is not None:
                row.state = SERVED
                row.shutdown = found.shutdown or (row.shutdown if row.shutdown and row.shutdown > today else None)
            elif gone is not None and gone.by(today):
                row.state = GONE
            elif each.listed:
                row.state = MISSING
            rows.append(row)
    return rows


def _forget(settings: Settings, names: Sequence[str]) -> None:
    try:
        for name in names:
            if settings.providers[name].api_keys:
                Ring(f"provider:{name}", settings.providers[name].api_keys).retry()
    except redis.RedisError as exc:
        raise Unavailable(f"Redis does not answer ({type(exc).__name__})", kind="connection") from None


def _told(rows: Sequence[Row], asked: Sequence[Asked], *, everything: bool) -> dict[str, Any]:
    return {
        "models": [
            {
                "provider": row.provider,
                "model": row.model,
                "state": row.state,
                "shutdown": row.shutdown.isoformat() if row.shutdown else None,
                "instead": row.instead or None,
                "input_price": row.price[0] if row.price else None,
                "output_price": row.price[1] if row.price else None,
                "context_tokens": row.context_tokens or None,
            }
            for row in rows
        ],
        "providers": [
            {
                "provider": each.name,
                "problem": each.problem or None,
                "keys": [{"key": key, "rests": why or None, "for_s": round(left)} for key, why, left in each.keys],
                **({"listed": [one.name for one in each.listed or ()]} if everything else {}),
            }
            for each in asked
        ],
    }


def _show(settings: Settings, rows: Sequence[Row], asked: Sequence[Asked], lang: Lang, *, everything: bool) -> None:
    lines = []
    for row in rows:
        price = f"{row.price[0]:g} / {row.price[1]:g}" if row.price else "-"
        context = f"{row.context_tokens:,}" if row.context_tokens else "-"
        lines.append([row.provider, row.model, _state(settings, row, lang), price, context])
    heads = [say(f"models.head_{head}", lang) for head in ("provider", "model", "state", "price", "context")]
    tables.show(heads, lines, fold=(2,))  # a name that is cut short cannot be copied
    for each in asked:
        if each.problem:
            click.echo(say("models.problem", lang, provider=each.name, why=each.problem))
        for key, why, left_s in each.keys:
            state = (
                say("models.key_rests", lang, why=why, seconds=round(left_s)) if why else say("models.key_fine", lang)
            )
            click.echo(f"{each.name} {key}: {state}")
        if everything and each.listed:
            click.echo(f"{each.name}: " + ", ".join(sorted(one.name for one in each.listed)))


def _state(settings: Settings, row: Row, lang: Lang) -> str:
    words = say(f"models.{row.state}", lang)
    if row.state in (GONE, MISSING):
        return say("models.use", lang, state=words, instead=row.instead) if row.instead else words
    if row.shutdown is None:
        return words
    left = (row.shutdown - datetime.now(UTC).date()).days
    soon = left <= settings.provider_selection.shutdown_warning_days
    told = say("models.until", lang, state=words, day=row.shutdown)
    return say("models.use", lang, state=told, instead=row.instead) if soon and row.instead else told
