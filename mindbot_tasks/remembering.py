"""Facts about people, as chat commands treat them: keep one, list them, forget them; in the answer's transaction."""

from __future__ import annotations

from sqlalchemy import Connection

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.stores import facts
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.facts import MAX_CHARS, Kept

#: what people write to forget everything
_ALL = frozenset({"", "all", "everything", "全部", "所有", "一切"})
_SHOWN_CHARS = 200
_SHOWN_NUMBERS = 10


def remember(connection: Connection, fact: str, held: Claim, settings: Settings, lang: Lang) -> str:
    """Keep this about whoever wrote the message; returns what to say."""
    context = settings.context_of(held.platform, held.bot)
    fact = " ".join(fact.split())
    if not context.facts:
        return say("context.facts_off", lang)
    if not fact:
        return say("context.remember_what", lang)
    if len(fact) > MAX_CHARS:
        return say("context.too_long", lang, most=MAX_CHARS)
    if not facts.remember(connection, held, fact, most=context.facts_most):
        return say("context.too_many", lang, most=context.facts_most)
    return say("context.remembered", lang, fact=_short(fact))


def listed(connection: Connection, held: Claim, settings: Settings, lang: Lang) -> str:
    """What is remembered of whoever asks, with the numbers that `forget` takes."""
    known = facts.known_to(connection, held)
    if not known:
        return say("context.nothing_known" if _keeps(held, settings) else "context.facts_off", lang)
    lines = [
        say("context.known_line", lang, number=number, fact=_short(fact.text)) for number, fact in enumerate(known, 1)
    ]
    return "\n".join([say("context.known", lang), *lines, "", say("context.known_end", lang)])


def forget(connection: Connection, wanted: str, held: Claim, lang: Lang) -> str:
    """Forget one fact, by its number or its words, or all of them; and what was said where they were told."""
    known = facts.known_to(connection, held)
    wanted = wanted.strip()
    if wanted.casefold() in _ALL:
        facts.forget(connection, held, known)
        return say("context.forgotten_all" if known else "context.forgotten_nothing", lang, count=len(known))
    found = _meant(known, wanted)
    if not found:
        return say("context.forget_which", lang, wanted=_short(wanted))
    if len(found) > 1:
        numbers = ", ".join(str(number) for number in found[:_SHOWN_NUMBERS])
        return say("context.forget_several", lang, numbers=numbers)
    fact = known[found[0] - 1]
    facts.forget(connection, held, [fact])
    return say("context.forgotten_one", lang, fact=_short(fact.text))


def _meant(known: list[Kept], wanted: str) -> list[int]:
    """The numbers, from 1, of those that are meant."""
    number = wanted.lstrip("#").rstrip(".。")
    if number.isdecimal():
        return [int(number)] if 1 <= int(number) <= len(known) else []
    words = " ".join(wanted.split()).casefold()
    return [number for number, fact in enumerate(known, 1) if words in fact.text.casefold()]


def _keeps(held: Claim, settings: Settings) -> bool:
    return settings.context_of(held.platform, held.bot).facts


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
