"""Taking a message for one stage: a compare-and-set that also brings along everything the stage needs to know."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BigInteger, Connection, bindparam, case, func, literal_column, or_, select, update
from sqlalchemy.orm import aliased

from mindbot_tasks.model.answer import Answer, Turn
from mindbot_tasks.model.message import ASKS_STATUS, JSON, UNASKED, Part, Stage, State, Verdict
from mindbot_tasks.stores import remembered
from mindbot_tasks.stores.clock import DB_NOW, earlier
from mindbot_tasks.stores.remembered import HISTORY_ROWS as HISTORY_ROWS
from mindbot_tasks.stores.remembered import OUR_OWN_WORDS as OUR_OWN_WORDS
from mindbot_tasks.stores.remembered import Fact, Remembered
from mindbot_tasks.stores.suspects import MAX_STRIKES as MAX_STRIKES
from mindbot_tasks.stores.suspects import takeable
from mindbot_tasks.stores.tables import MessageRow

#: an apology must still go out before the deadline
APOLOGY_MARGIN_MS = 30_000


@dataclass(frozen=True, slots=True)
class Claim:
    """A message in the hands of one stage of one worker."""

    message_id: int
    attempt: int
    stage: Stage
    strikes: int  #: this claim counted; above 1, an earlier one of this stage died
    retries: int
    platform: str
    bot: str
    conversation_id: int
    conversation_ref: str
    conversation_kind: str
    sender_ref: str
    text: str
    parts: list[dict[str, JSON]]
    address: dict[str, JSON]
    verdict: Verdict | None
    label: str
    classification: Mapping[str, Any]
    time_left_ms: int  #: until the sweeper would give the message up
    answer_key: str = ""  #: names this run of the message: the same for every try, another one for a replay
    sent_parts: int = 0
    uncertain: bool = False  #: an earlier try of the next piece may have gone out
    replying: bool = False  #: the answer, or a part of it, may already be with the asker
    recent: tuple[tuple[str, int], ...] = ()  #: labels before this one, newest first, and how many ms ago each ended
    history: tuple[Turn, ...] = ()
    sessions: Mapping[str, str] = field(default_factory=dict)  #: answerer -> remote conversation id
    model: str = ""  #: that somebody chose for this conversation
    title: str = ""  #: of the conversation
    user_name: str = ""
    summary: str = ""  #: of what was said before `history`
    begins_after: int = 0  #: history and summary are of messages after this one
    summary_wanted: int = 0  #: a summary up to this message is there or on its way
    more_history: bool = False  #: there may be messages between the summary and `history`
    facts: tuple[Fact, ...] = ()  #: that the asker asked to remember
    answer: Answer | None = None
    external_id: str = ""  #: the platform's own id of the message
    last_error: str = ""  #: of this stage


CLAIMABLE: dict[Stage, tuple[State, ...]] = {
    Stage.CLASSIFY: (State.RECEIVED,),
    Stage.GENERATE: (State.CLASSIFIED,),
    Stage.REPLY: (State.ANSWERED, State.REPLYING),
    Stage.APOLOGISE: (State.RECEIVED, State.CLASSIFIED, State.ANSWERED, State.REPLYING),
}

#: how many messages before this one tell which workflow the conversation is in
RECENT_ROWS = 6
_RECENT = {
    # newest first; in a group only what the same person asked
    dialect: f"""(SELECT {collect} FROM (
        SELECT recent.label AS label, recent.finished_at AS finished_at FROM (
            SELECT m.id, m.label, m.finished_at, m.sender_ref FROM messages m
            WHERE m.conversation_id = messages.conversation_id AND m.id < messages.id AND m.state = 'replied'
            AND m.id > coalesce((SELECT c.reset_by FROM conversations c WHERE c.id = messages.conversation_id), 0)
            ORDER BY m.id DESC LIMIT {RECENT_ROWS}) recent
        WHERE recent.sender_ref = messages.sender_ref AND recent.label IS NOT NULL
        ORDER BY recent.id DESC) r)"""  # noqa: S608 - only our own words
    for dialect, collect in {
        "sqlite": "json_group_array(json_array(r.label, r.finished_at))",
        "postgresql": "json_agg(json_build_array(r.label, r.finished_at))::text",
    }.items()
}
_ANSWER = {
    "sqlite": """(SELECT json_array(a.text, a.parts, a.provider, a.model, a.workflow) FROM answers a
        WHERE a.message_id = messages.id)""",
    "postgresql": """(SELECT json_build_array(a.text, a.parts, a.provider, a.model, a.workflow)::text FROM answers a
        WHERE a.message_id = messages.id)""",
}

_FOLLOWING = {
    "sqlite": f"""(SELECT n.id || ':' || n.state || ':' || coalesce(n.verdict, '') FROM messages n
        WHERE n.conversation_id = messages.conversation_id AND n.id > messages.id AND n.finished_at IS NULL
        AND (n.merged_into IS NULL OR n.merged_into = n.id) AND n.label IS NOT '{ASKS_STATUS}'
        ORDER BY n.id LIMIT 1)""",  # noqa: S608 - only our own words
    # a volatile function looks with eyes of its own: it sees rows that were committed after our statement had begun
    "postgresql": "messages_following(messages.conversation_id, messages.id)",
}

_NOTHING = Remembered()

_NEXT_STAGE = {
    State.RECEIVED: Stage.CLASSIFY,
    State.CLASSIFIED: Stage.GENERATE,
    State.ANSWERED: Stage.REPLY,
    State.REPLYING: Stage.REPLY,
}


def next_stage(state: State, verdict: Verdict | None) -> Stage:
    """The stage that an unfinished message waits for."""
    return _NEXT_STAGE[state] if verdict is None else Stage.APOLOGISE


class Following(NamedTuple):
    """The message whose turn it is now, and where it goes on."""

    message_id: int
    stage: Stage


def following_column(dialect: str) -> Any:
    """For RETURNING or SELECT on `messages`: who comes after that row in its conversation; for `as_following`."""
    return literal_column(_FOLLOWING[dialect]).label("following")


def as_following(value: str | None) -> Following | None:
    """None: nobody waits."""
    if value is None:
        return None
    message_id, state, verdict = value.split(":")
    return Following(int(message_id), next_stage(State(state), Verdict(verdict) if verdict else None))


def following(connection: Connection, message_id: int) -> Following | None:
    """Who waits behind a message that has ended."""
    column = following_column(connection.dialect.name)
    return as_following(connection.execute(select(column).where(MessageRow.id == message_id)).scalar())


def now_or_given(timed: bool) -> Any:
    return bindparam("now", type_=BigInteger) if timed else DB_NOW


def first_in_line() -> Any:
    """Nothing before it in its conversation is unfinished; who asks what is going on need not wait for that."""
    before = aliased(MessageRow)
    return or_(
        func.coalesce(MessageRow.label, "") == ASKS_STATUS,
        ~select(before.id)
        .where(
            before.conversation_id == MessageRow.conversation_id,
            before.id < MessageRow.id,
            before.finished_at.is_(None),
        )
        .exists(),
    )


def is_follower() -> Any:
    """It belongs to another message of the same burst, and ends with it."""
    return MessageRow.merged_into.is_not(None) & (MessageRow.merged_into != MessageRow.id)


def one_of(states: Sequence[State]) -> Any:
    """The message is in one of these; not by IN, whose list SQLAlchemy writes anew with every execution."""
    return or_(*(MessageRow.state == state.value for state in states))


def wake_by(at: Any) -> Any:
    """Never later than when an apology must start."""
    return earlier(at, MessageRow.deadline_at - APOLOGY_MARGIN_MS)


@functools.cache
def _claim_statement(
    dialect: str, stage: Stage, timed: bool, rows: int, recent: bool, alone: bool, only_here: bool
) -> Any:
    now = now_or_given(timed)
    columns = [
        MessageRow.attempt,
        MessageRow.strikes,
        MessageRow.retries,
        MessageRow.platform,
        MessageRow.bot,
        MessageRow.conversation_id,
        MessageRow.conversation_ref,
        MessageRow.conversation_kind,
        MessageRow.sender_ref,
        MessageRow.text,
        MessageRow.parts,
        MessageRow.address,
        MessageRow.verdict,
        MessageRow.label,
        MessageRow.classification,
        MessageRow.sent_parts,
        MessageRow.replying_at,
        MessageRow.deadline_at,
        MessageRow.external_id,
        MessageRow.last_error,
        (MessageRow.deadline_at - now).label("left"),
    ]
    values: dict[str, Any] = {
        "attempt": MessageRow.attempt + 1,
        "strikes": MessageRow.strikes + 1,
        "lease_owner": bindparam("worker"),
        "lease_until": now + bindparam("lease_ms", type_=BigInteger),
        "wake_at": wake_by(now + bindparam("lease_ms", type_=BigInteger)),
        "not_before": None,
        "step": f"{stage}:started",
        "stepped_at": now,
        "note": None,
    }
    if stage is Stage.CLASSIFY and recent:
        columns.append(MessageRow.received_at)
        columns.append(literal_column(_RECENT[dialect]).label("recent"))
    if stage is Stage.GENERATE:
        columns += remembered.columns(dialect, rows)
    if stage is Stage.REPLY:
        values["state"] = State.REPLYING.value
        values["replying_at"] = case((MessageRow.replying_at.is_(None), now), else_=MessageRow.replying_at)
        columns.append(literal_column(_ANSWER[dialect]).label("answer"))
    wanted = [MessageRow.verdict.is_(None), MessageRow.cancelled_at.is_(None)]
    if stage is Stage.APOLOGISE:
        wanted = [MessageRow.verdict.is_not(None)]
    in_time = {
        Stage.APOLOGISE: [],
        Stage.REPLY: [MessageRow.deadline_at > now],
    }.get(stage, [MessageRow.deadline_at - APOLOGY_MARGIN_MS > now])
    return (
        update(MessageRow)
        .where(
            MessageRow.id == bindparam("message_id"),
            one_of(CLAIMABLE[stage]),
            MessageRow.finished_at.is_(None),
            MessageRow.lease_owner.is_(None) | (MessageRow.lease_until < now),
            MessageRow.not_before.is_(None) | (MessageRow.not_before <= now),
            takeable(alone=alone, only_here=only_here or stage is Stage.APOLOGISE),
            ~is_follower(),
            *wanted,
            *in_time,
            first_in_line(),
        )
        .values(**values)
        .returning(*columns)
    )


def history_rows(tokens: int) -> int:
    """How many messages to read for a history of so many tokens; most exchanges are longer than fifty."""
    return max(HISTORY_ROWS, min(remembered.MOST_HISTORY_ROWS, tokens // 100))


def claim(
    connection: Connection,
    message_id: int,
    stage: Stage,
    *,
    worker: int,
    lease_ms: int,
    history_rows: int = HISTORY_ROWS,
    silence_ms: Callable[[str, str], int] | None = None,
    recent: bool = True,
    alone: bool = False,
    only_here: bool = False,
    now: int | None = None,
) -> Claim | None:
    """Take a message for one stage; None when it is not this stage's turn: elsewhere, leased, waiting or ended.

    The attempt and the strike are counted here, before the work, so that a message that kills its worker is noticed.
    history_rows, silence_ms (of a platform and a bot): see `remembered.read`. recent: False: nobody wants to know which
    workflow the conversation is in. alone, only_here: see `suspects.takeable`.
    """
    values: dict[str, Any] = {"message_id": message_id, "worker": worker, "lease_ms": lease_ms}
    if now is not None:
        values["now"] = now
    statement = _claim_statement(
        connection.dialect.name, stage, now is not None, history_rows, recent, alone, only_here
    )
    row = connection.execute(statement, values).first()
    if row is None:
        return None
    known = _NOTHING
    if stage is Stage.GENERATE:
        pause_ms = silence_ms(row.platform, row.bot) if silence_ms is not None else 0
        known = remembered.read(row, rows=history_rows, silence_ms=pause_ms)
    return Claim(
        message_id=message_id,
        attempt=row.attempt,
        stage=stage,
        strikes=row.strikes,
        retries=row.retries,
        platform=row.platform,
        bot=row.bot,
        conversation_id=row.conversation_id,
        conversation_ref=row.conversation_ref,
        conversation_kind=row.conversation_kind,
        sender_ref=row.sender_ref,
        text=row.text,
        parts=row.parts,
        address=row.address,
        verdict=Verdict(row.verdict) if row.verdict else None,
        label=row.label or "",
        classification=row.classification or {},
        time_left_ms=row.left if stage is Stage.REPLY else row.left - APOLOGY_MARGIN_MS,
        # a deadline is given once, with milliseconds, and anew by a replay
        answer_key=f"{message_id}-{row.deadline_at}",
        sent_parts=row.sent_parts,
        replying=row.replying_at is not None,
        uncertain=stage is Stage.REPLY and row.strikes > 1,
        recent=_labels(row.recent, row.received_at) if stage is Stage.CLASSIFY and recent else (),
        history=known.history,
        sessions=known.sessions,
        model=known.model,
        title=known.title,
        user_name=known.user_name,
        summary=known.summary,
        begins_after=known.begins_after,
        summary_wanted=known.summary_wanted,
        more_history=known.more,
        facts=known.facts,
        answer=_saved_answer(row.answer) if stage is Stage.REPLY else None,
        external_id=row.external_id,
        last_error=row.last_error or "",
    )


def _labels(newest_first: str | None, received_at: int) -> tuple[tuple[str, int], ...]:
    return tuple(
        (label, max(0, received_at - (finished_at or 0)))
        for label, finished_at in orjson.loads(newest_first or "[]")
        if not label.startswith("/") and label != UNASKED
    )


def _saved_answer(value: str | None) -> Answer | None:
    if value is None:
        return None
    text, parts, provider, model, workflow = orjson.loads(value)
    # SQLite keeps JSON as text, so it arrives as text within text
    parts = orjson.loads(parts) if isinstance(parts, str) else parts
    return Answer(
        text=text, provider=provider, model=model, workflow=workflow, parts=tuple(Part(**part) for part in parts)
    )
