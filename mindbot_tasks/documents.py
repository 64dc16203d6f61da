"""Documents that administrators have read by the command /learn: only what their bot may search."""

from __future__ import annotations

import re

from sqlalchemy import Connection

from mindbot_tasks.core.settings import BotSettings, Settings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.stores import knowledge

#: as people and platforms write them, with a mark around
_ADDRESS = re.compile(r"https?://[^\s<>\"'）)】\]]{3,680}")


def learn(connection: Connection, wanted: str, settings: Settings, bot: BotSettings, lang: Lang) -> str:
    """Have the address read, or tell how far a document is; returns what to say. Whether they may: who calls."""
    if settings.chromadb is None:
        return say("commands.learn_off", lang)
    bases = (settings.chromadb.collection_name,) if bot.knowledge is None else tuple(bot.knowledge)
    if not bases:
        return say("commands.learn_nowhere", lang)
    if wanted.isdecimal() and len(wanted) < 19:
        return _told(connection, int(wanted), bases, lang)
    found = _ADDRESS.search(wanted)
    if found is None:
        return say("commands.learn_what", lang)
    number, _ = knowledge.add(connection, bases[0], found[0], "url", found[0], None)
    return say("commands.learn_begun", lang, base=bases[0], id=number)


def _told(connection: Connection, number: int, bases: tuple[str, ...], lang: Lang) -> str:
    rows = [row for row in knowledge.listed(connection, ids=[number]) if row.base in bases]
    if not rows:
        return say("commands.learn_none", lang, id=number)
    state = say(f"kb.state_{rows[0].state}", lang)
    return say("commands.learn_state", lang, id=number, state=state, note=rows[0].error or rows[0].note).strip()
