"""What goes along with a claimed message to whoever answers it, as columns of the claim's own statement.

Last exchanges, the summary of those before them, facts about the asker, remote conversations: none costs a statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import literal_column

from mindbot_tasks.model.answer import Turn

#: earlier messages that may go along as history, unless more were asked for; trimming by tokens comes later
HISTORY_ROWS = 20
#: more than that is never read, however large the budget
MOST_HISTORY_ROWS = 200
#: the newest that are read; the token budget comes later
FACT_ROWS = 50
#: the provider of answers that no model gave: commands, notices
OUR_OWN_WORDS = "mindbot"

_RECENT = """SELECT recent.id AS id, recent.text AS text, recent.received_at AS received_at,
        recent.finished_at AS finished_at, a.text AS answer, {answerer} AS answerer, {tools} AS tools FROM (
            SELECT m.id, m.text, m.received_at, m.finished_at FROM messages m
            WHERE m.conversation_id = messages.conversation_id AND m.id < messages.id AND m.state = 'replied'
            AND m.id > coalesce((SELECT c.reset_by FROM conversations c WHERE c.id = messages.conversation_id), 0)
            AND m.id > coalesce(
                (SELECT s.until_id FROM summaries s WHERE s.conversation_id = messages.conversation_id), 0)
            ORDER BY m.id DESC LIMIT {rows}) recent
        JOIN answers a ON a.message_id = recent.id WHERE a.provider <> '{ours}'
        ORDER BY recent.id DESC"""
_ANSWERER = (
    "coalesce({named}, CASE WHEN a.workflow <> '' THEN 'workflow:' || a.workflow ELSE 'provider:' || a.provider END)"
)
_COLLECTED = "h.id, h.text, h.answer, h.answerer, h.tools, h.received_at, h.finished_at"
_ABOUT = "c.model, c.title, u.name, s.text, s.until_id, s.wanted_id, s.updated_at, messages.received_at, c.reset_by"
_ABOUT_FROM = """FROM conversations c LEFT JOIN summaries s ON s.conversation_id = c.id
        LEFT JOIN users u ON u.platform = messages.platform AND u.external_id = messages.sender_ref
        WHERE c.id = messages.conversation_id"""
_FACTS = """SELECT f.id AS id, f.text AS text, f.message_id AS message_id FROM facts f
        WHERE f.platform = messages.platform AND f.bot = messages.bot AND f.user_ref = messages.sender_ref
        AND (f.private = 0 OR messages.conversation_kind = 'one_to_one')
        ORDER BY f.id DESC LIMIT {rows}"""
_SESSIONS = """FROM sessions s
        WHERE s.conversation_id = messages.conversation_id AND s.user_ref = messages.sender_ref"""


_SESSION_PG = "json_build_array(s.session_id, s.updated_at)"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the asker once asked the bot to remember."""

    text: str
    message_id: int  #: of the message that told it


@dataclass(frozen=True, slots=True)
class Remembered:
    """Everything that is known beside the message itself."""

    history: tuple[Turn, ...] = ()  #: since the summary, the last reset and the last long silence; oldest first
    sessions: Mapping[str, str] = field(default_factory=dict)  #: answerer -> remote conversation id
    model: str = ""  #: that somebody chose for this conversation
    title: str = ""  #: of the conversation
    user_name: str = ""
    summary: str = ""  #: of what was said before `history`
    begins_after: int = 0  #: history and summary are of messages after this one; the summary row may be older
    summary_wanted: int = 0  #: a summary up to this message is on its way
    more: bool = False  #: there may be messages between the summary and `history`
    facts: tuple[Fact, ...] = ()  #: oldest first


def columns(dialect: str, rows: int) -> list[Any]:
    """For RETURNING on `messages`; `read` makes sense of them. rows: how many messages of history at most."""
    sqlite = dialect == "sqlite"
    recent = _RECENT.format(
        rows=int(rows),
        ours=OUR_OWN_WORDS,
        answerer=_ANSWERER.format(
            named="json_extract(a.details, '$.answerer')" if sqlite else "a.details->>'answerer'"
        ),
        tools="json_extract(a.details, '$.tools')" if sqlite else "a.details->'tools'",
    )
    facts = _FACTS.format(rows=FACT_ROWS)
    if sqlite:
        texts = {
            "history": f"(SELECT json_group_array(json_array({_COLLECTED})) FROM ({recent}) h)",  # noqa: S608
            "sessions": f"(SELECT json_group_object(s.answerer, json_array(s.session_id, s.updated_at)) {_SESSIONS})",
            "about": f"(SELECT json_array({_ABOUT}) {_ABOUT_FROM})",
            "facts": f"(SELECT json_group_array(json_array(g.text, g.message_id)) FROM ({facts}) g)",  # noqa: S608
        }
    else:
        texts = {
            "history": f"(SELECT json_agg(json_build_array({_COLLECTED}))::text FROM ({recent}) h)",  # noqa: S608
            "sessions": f"(SELECT json_object_agg(s.answerer, {_SESSION_PG})::text {_SESSIONS})",
            "about": f"(SELECT json_build_array({_ABOUT})::text {_ABOUT_FROM})",
            "facts": f"(SELECT json_agg(json_build_array(g.text, g.message_id))::text FROM ({facts}) g)",  # noqa: S608
        }
    return [literal_column(text).label(name) for name, text in texts.items()]


def read(row: Any, *, rows: int, silence_ms: int = 0) -> Remembered:
    """What `columns` returned. silence_ms: a longer pause ends a conversation, 0: none does."""
    about = orjson.loads(row.about) if row.about else [None] * 9
    model, title, name, summary, until, wanted, summed_at, received_at, reset_by = about
    until, wanted, reset_by = until or 0, wanted or 0, reset_by or 0
    begins_after = reset_by
    if until < reset_by:  # it is of what was to be forgotten
        summary, wanted = "", 0
    newest_first = orjson.loads(row.history or "[]")
    sessions = {answerer: tuple(kept) for answerer, kept in orjson.loads(row.sessions or "{}").items()}
    more = len(newest_first) >= rows
    if silence_ms and received_at:
        kept = _since_silence(newest_first, received_at, silence_ms)
        if len(kept) < len(newest_first):
            begins_after, summary, wanted, more = newest_first[len(kept)][0], "", 0, False
            newest_first = kept
            began_at = kept[-1][5] if kept else received_at
            sessions = {answerer: one for answerer, one in sessions.items() if one[1] >= began_at}
        elif not newest_first:  # then the times of the rows themselves tell how long it was silent
            sessions = {answerer: one for answerer, one in sessions.items() if received_at - one[1] <= silence_ms}
            if received_at - (summed_at or received_at) > silence_ms:
                begins_after, summary, wanted = max(until, reset_by), "", 0
    return Remembered(
        history=_turns(newest_first),
        sessions={answerer: one[0] for answerer, one in sessions.items()},
        model=model or "",
        title=title or "",
        user_name=name or "",
        summary=summary or "",
        begins_after=begins_after,
        summary_wanted=wanted,
        more=more,
        facts=tuple(Fact(text, message_id) for text, message_id in reversed(orjson.loads(row.facts or "[]"))),
    )


def _since_silence(newest_first: Sequence[Any], received_at: int, silence_ms: int) -> list[Any]:
    """Those after the last pause that was longer than `silence_ms`."""
    kept: list[Any] = []
    for exchange in newest_first:
        if received_at - exchange[6] > silence_ms:
            break
        kept.append(exchange)
        received_at = exchange[5]
    return kept


def _turns(newest_first: Sequence[Any]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    for message_id, question, answer, answerer, tools, *_ in reversed(newest_first):
        if question:  # nobody asked for what the bot said first
            turns.append(Turn("user", question, message_id, answerer))
        tools = orjson.loads(tools) if isinstance(tools, str) else tools  # SQLite may give it as text within text
        turns.append(Turn("assistant", answer, message_id, answerer, tuple(tools) if isinstance(tools, list) else ()))
    return tuple(turns)
