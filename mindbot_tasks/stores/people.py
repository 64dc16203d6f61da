"""Names of people whom a platform names by id alone: who is to be asked for, at most once a day, and what was found.

`mindbot:person:<platform>:<bot>:<user>` says that somebody has asked lately; all workers share it. Without Redis nobody
is asked: a name is a comfort, and asking over and over would use up the vendor's limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import redis
import structlog
from sqlalchemy import Connection, select, update

from mindbot_tasks.stores.cleaning import clean, cut
from mindbot_tasks.stores.redis import get_redis
from mindbot_tasks.stores.tables import ConversationRow, MessageRow, UserRow

log = structlog.get_logger(__name__)

ASKED_FOR_S = 86_400
#: after a look-up that did not work
TRIED_FOR_S = 900
_MOST = 10_000
_asked_here: set[tuple[str, str, str]] = set()


def to_ask_for(platform: str, bot: str, user: str) -> bool:
    """Whether this caller, and no other, is to look the name up now."""
    key = (platform, bot, user)
    if key in _asked_here:
        return False
    try:
        mine = bool(get_redis().set(_key(*key), "1", ex=TRIED_FOR_S, nx=True))
    except redis.RedisError as exc:
        log.debug("people_without_redis", error=type(exc).__name__)
        return False
    if not mine:
        _remember(key)
    return mine


def name(connection: Connection, platform: str, bot: str, user: str, found: str) -> None:
    """Write down what was found; "" too means that there is no need to ask again today."""
    if found:
        statement = update(UserRow).where(UserRow.platform == platform, UserRow.external_id == cut(user))
        connection.execute(statement.values(name=cut(clean(found))))
    _remember((platform, bot, user))
    try:
        get_redis().set(_key(platform, bot, user), "1", ex=ASKED_FOR_S)
    except redis.RedisError as exc:
        log.debug("people_without_redis", error=type(exc).__name__)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who has sent a message, and where."""

    platform: str
    user_id: str
    name: str
    known_since: str  #: a day
    conversation_kind: str
    conversation_title: str


def asker(connection: Connection, message_id: int) -> Asker | None:
    """Who has sent this message; None if there is none of that id."""
    row = connection.execute(
        select(
            MessageRow.platform,
            MessageRow.sender_ref,
            MessageRow.conversation_kind,
            ConversationRow.title,
            UserRow.name,
            UserRow.created_at,
        )
        .join(ConversationRow, ConversationRow.id == MessageRow.conversation_id)
        .outerjoin(UserRow, (UserRow.platform == MessageRow.platform) & (UserRow.external_id == MessageRow.sender_ref))
        .where(MessageRow.id == message_id)
    ).first()
    if row is None:
        return None
    since = f"{datetime.fromtimestamp(row.created_at / 1000, UTC):%Y-%m-%d}" if row.created_at else ""
    return Asker(row.platform, row.sender_ref, row.name or "", since, row.conversation_kind, row.title or "")


def forget() -> None:
    """Start without what this process believes to know; for tests."""
    _asked_here.clear()


def _remember(key: tuple[str, str, str]) -> None:
    if len(_asked_here) >= _MOST:
        _asked_here.clear()  # the shared mark still holds
    _asked_here.add(key)


def _key(platform: str, bot: str, user: str) -> str:
    return f"mindbot:person:{platform}:{bot}:{user}"
