"""Recording a message exactly once; the unique key decides, and ids rise in commit order within a conversation."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, case, literal, literal_column, select
from sqlalchemy.orm import aliased

from mindbot_tasks.model.message import Message, Part, State
from mindbot_tasks.stores.cleaning import clean, clean_json, cut
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables import ConversationRow, MessageRow, UserRow

#: how long the sweeper leaves a message alone after somebody was told to start it
PICKUP_GRACE_MS = 5_000


#: not by `asdict`, which copies all the way down what `clean_json` makes anew anyway
_OF_A_PART = tuple(field.name for field in fields(Part))


@dataclass(frozen=True, slots=True)
class Recorded:
    """The row of a message."""

    message_id: int
    fresh: bool  #: False: a duplicate of a message recorded before
    first_in_line: bool  #: nothing before it in its conversation is unfinished
    ignored: bool = False


#: so long a process takes a person for known; then it says again that they were seen
BELIEVED_MS = 86_400_000


class _Known:
    """Rows that this process has seen committed, so that it need not make sure again so soon; bounded."""

    def __init__(self, size: int = 10_000, *, for_s: float = math.inf) -> None:
        self._size = size
        self._for_s = for_s
        self._seen: OrderedDict[tuple[str, ...], tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def has(self, key: tuple[str, ...], value: str = "") -> bool:
        found = self._seen.get(key)
        return found is not None and found[0] == value and found[1] > time.monotonic()

    def add(self, key: tuple[str, ...], value: str = "") -> None:
        if self.has(key, value):  # from when it was made sure, not from the last message
            return
        with self._lock:
            self._seen[key] = (value, time.monotonic() + self._for_s)
            while len(self._seen) > self._size:
                self._seen.popitem(last=False)

    def forget(self, key: tuple[str, ...]) -> None:
        with self._lock:
            self._seen.pop(key, None)


_conversations = _Known()
_users = _Known(for_s=BELIEVED_MS / 1000)


def _plausible(at: int | None) -> int | None:
    """A platform's own time, unless no calendar has it (and no column either)."""
    return at if at is not None and 0 <= at < 253_402_300_800_000 else None


@functools.cache
def _record_statement(dialect: str, timed: bool) -> Any:
    """INSERT INTO messages ... SELECT FROM the conversation, locked.

    The lock makes messages of one conversation take their ids in the order in which they become visible; it must stand
    in a subquery, because PostgreSQL would else draw the id before it waits for the lock.
    """
    now = bindparam("now", type_=BigInteger) if timed else DB_NOW
    conversation = (
        select(ConversationRow.id)
        .where(
            ConversationRow.platform == bindparam("platform"),
            ConversationRow.bot == bindparam("bot"),
            ConversationRow.external_id == bindparam("conversation_ref"),
        )
        .with_for_update(key_share=True)  # not stronger, or saving a session of this conversation would wait for it
        .subquery()
    )
    columns = MessageRow.__table__.c
    named = (
        "platform",
        "bot",
        "external_id",
        "conversation_ref",
        "conversation_kind",
        "sender_ref",
        "text",
        "parts",
        "address",
        "state",
        "step",
        "note",
        "label",
        "sent_at",
    )
    values: dict[str, Any] = {name: bindparam(name, type_=columns[name].type) for name in named}
    open_ = bindparam("open", type_=BigInteger)
    values |= {
        "conversation_id": conversation.c.id,
        "attempt": literal(0),
        "strikes": literal(0),
        "retries": literal(0),
        "sent_parts": literal(0),
        "stepped_at": now,
        "received_at": now,
        "deadline_at": now + bindparam("deadline_ms", type_=BigInteger),
        # NULL times a number is NULL: a message that is not for us is finished at once and never woken
        "wake_at": now + open_ * PICKUP_GRACE_MS,
        "not_before": now + bindparam("hold_ms", type_=BigInteger),  # likewise: only for one that waits for more
        "finished_at": now + bindparam("finished", type_=BigInteger),
    }
    earlier = aliased(MessageRow)
    return (
        insert_into(MessageRow, dialect)
        .from_select(list(values), select(*values.values()).where(literal(1) == literal(1)))
        .on_conflict_do_nothing(index_elements=["platform", "bot", "external_id"])
        .returning(
            MessageRow.id,
            (
                ~select(earlier.id)
                .where(
                    # literally, because the names in RETURNING are rendered without their table
                    earlier.conversation_id == literal_column("messages.conversation_id"),
                    earlier.id < literal_column("messages.id"),
                    earlier.finished_at.is_(None),
                )
                .exists()
            ).label("first"),
        )
    )


def record_once(
    connection: Connection,
    message: Message,
    *,
    deadline_ms: int,
    label: str | None = None,
    hold_ms: int | None = None,
    now: int | None = None,
) -> Recorded:
    """Remember this message; `fresh` is False when it is here already. The connection commits each statement by itself.

    One statement for a conversation and a person this process knows, three for new ones. label: one that the door
    gives. hold_ms: how long it waits for others that belong to it (`bursts`).
    """
    conversation_key, user_key, name = _keys(message)
    if not _conversations.has(conversation_key):
        _remember_conversation(connection, message, now)
    if not _users.has(user_key, name):
        _remember_user(connection, message, now)
    values: dict[str, Any] = {
        "platform": message.platform,
        "bot": message.bot,
        "external_id": cut(message.external_id),
        "conversation_ref": conversation_key[2],
        "conversation_kind": message.conversation_kind,
        "sender_ref": user_key[1],
        "text": clean(message.text),
        "parts": [clean_json({name: getattr(part, name) for name in _OF_A_PART}) for part in message.parts],
        "address": clean_json(dict(message.address)),
        "state": State.RECEIVED if message.addressed else State.IGNORED,
        "step": "received" if message.addressed else "ignored",
        "note": None if message.addressed else cut(message.ignored_because or "not addressed to the bot", 500),
        "label": label,
        "sent_at": _plausible(message.sent_at_ms),
        "deadline_ms": deadline_ms,
        "open": 1 if message.addressed else None,
        "finished": None if message.addressed else 0,
        "hold_ms": hold_ms,
    }
    if now is not None:
        values["now"] = now
    statement = _record_statement(connection.dialect.name, now is not None)
    row = connection.execute(statement, values).first()
    if row is None:
        known = find(connection, message)
        if known is not None:
            return Recorded(known, fresh=False, first_in_line=False)
        # the conversation was purged while this process still believed in it
        _remember_conversation(connection, message, now)
        row = connection.execute(statement, values).one()
    _conversations.add(conversation_key)
    _users.add(user_key, name)
    return Recorded(row.id, fresh=True, first_in_line=bool(row.first), ignored=not message.addressed)


def introduce(connection: Connection, message: Message) -> None:
    """Remember the conversation and the person alone, each in a statement of its own.

    Before a transaction that records many messages: two of those that meet the same people in another order would
    otherwise wait for each other for ever.
    """
    conversation_key, user_key, name = _keys(message)
    if not _conversations.has(conversation_key):
        _remember_conversation(connection, message, None)
        _conversations.add(conversation_key)
    if not _users.has(user_key, name):
        _remember_user(connection, message, None)
        _users.add(user_key, name)


def _keys(message: Message) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """How the conversation and the person are known, and the person's name."""
    conversation_key = (message.platform, message.bot, cut(message.conversation_id))
    return conversation_key, (message.platform, cut(message.sender_id)), cut(message.sender_name)


def find(connection: Connection, message: Message) -> int | None:
    """The id under which this message was recorded before."""
    return connection.execute(
        select(MessageRow.id).where(
            MessageRow.platform == message.platform,
            MessageRow.bot == message.bot,
            MessageRow.external_id == cut(message.external_id),
        )
    ).scalar()


def _remember_conversation(connection: Connection, message: Message, now: int | None) -> None:
    values = {
        "platform": message.platform,
        "bot": message.bot,
        "external_id": cut(message.conversation_id),
        "kind": message.conversation_kind,
        "title": cut(message.conversation_title),
    }
    timed = now is not None
    connection.execute(
        _conversation_statement(connection.dialect.name, timed), {**values, "now": now} if timed else values
    )


def _remember_user(connection: Connection, message: Message, now: int | None) -> None:
    values = {
        "platform": message.platform,
        "external_id": cut(message.sender_id),
        "name": cut(message.sender_name),
    }
    timed = now is not None
    connection.execute(_user_statement(connection.dialect.name, timed), {**values, "now": now} if timed else values)


@functools.cache
def _conversation_statement(dialect: str, timed: bool) -> Any:
    return _insert(dialect, ConversationRow, timed, ("created_at",)).on_conflict_do_nothing()


@functools.cache
def _user_statement(dialect: str, timed: bool) -> Any:
    insert = _insert(dialect, UserRow, timed, ("created_at", "seen_at"))
    return insert.on_conflict_do_update(
        index_elements=["platform", "external_id"],
        set_={
            # some platforms name people by id alone; what was looked up since must not be lost to that
            "name": case((insert.excluded.name != "", insert.excluded.name), else_=UserRow.name),
            "seen_at": insert.excluded.seen_at,
        },
    )


def _insert(dialect: str, row: type[ConversationRow | UserRow], timed: bool, clocks: tuple[str, ...]) -> Any:
    """INSERT of a row whose `clocks` are the time of the statement; to be built once."""
    now = bindparam("now", type_=BigInteger) if timed else DB_NOW
    columns = [column for column in row.__table__.c if column.name != "id" and not column.nullable]
    values: dict[str, Any] = {column.name: bindparam(column.name, type_=column.type) for column in columns}
    made: Any = insert_into(row.__table__, dialect)
    return made.values(values | dict.fromkeys(clocks, now))


def forget_known() -> None:
    """Start without what this process believes to know; for tests that change databases, and after a purge."""
    for known in (_conversations, _users):
        known._seen.clear()


def is_first_in_line(connection: Connection, message_id: int) -> bool:
    """Nothing before this message in its conversation is unfinished.

    For one that was recorded behind others: the one before it may be ending at this very moment, and have looked for a
    follower before this row was there. So this waits for whoever changes the earlier row (FOR SHARE); he looks for
    followers after he has locked it. One of the two sees the other, whatever the order.
    """
    return connection.execute(_before_statement(), {"this_id": message_id}).scalar() is None


@functools.cache
def _before_statement() -> Any:
    """The first unfinished message before `this_id` in its conversation; built once, for at a busy door most ask."""
    this = aliased(MessageRow)
    conversation = select(this.conversation_id).where(this.id == bindparam("this_id")).scalar_subquery()
    return (
        select(MessageRow.id)
        .where(
            MessageRow.conversation_id == conversation,
            MessageRow.id < bindparam("this_id"),
            MessageRow.finished_at.is_(None),
        )
        .order_by(MessageRow.id)
        .limit(1)
        .with_for_update(read=True, of=MessageRow)
    )
