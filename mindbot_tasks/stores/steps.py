"""What a stage writes when it is done with a message: each is a compare-and-set by the claim's attempt and state."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, String, bindparam, case, func, update

from mindbot_tasks.core.errors import Stopped
from mindbot_tasks.model.answer import Answer, Classification
from mindbot_tasks.model.message import Stage, State, Verdict
from mindbot_tasks.stores import spending
from mindbot_tasks.stores.claims import (
    CLAIMABLE,
    Claim,
    Following,
    as_following,
    following_column,
    now_or_given,
    one_of,
    wake_by,
)
from mindbot_tasks.stores.cleaning import clean, clean_json, cut
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.suspects import error_after
from mindbot_tasks.stores.tables import AnswerRow, MessageRow, SessionRow

#: and then the queue
HANDED_OVER = "handed over: "
#: the sweeper leaves a stage alone for this long after the stage before it has handed over
HANDOVER_GRACE_MS = 5_000


class LostLease(Stopped):
    """Somebody else has this message now; what was being done no longer counts."""


@functools.cache
def _held(dialect: str, timed: bool, kind: str, stage: Stage) -> Any:
    """UPDATE of a message that is held by exactly this claim of `stage`; `kind` picks what changes."""
    now = now_or_given(timed)
    free: dict[str, Any] = {
        "lease_owner": None,
        "lease_until": None,
        "step": bindparam("step"),
        "stepped_at": now,
        "note": bindparam("note"),
    }
    orderly = {"strikes": 0, "retries": 0, "last_error": None, "wake_at": wake_by(now + HANDOVER_GRACE_MS)}
    values: dict[str, Any]
    if kind in ("classified", "classified_with_parts"):
        values = {
            **free,
            **orderly,
            "state": State.CLASSIFIED.value,
            "classified_at": now,
            "label": bindparam("label"),
            "confidence": bindparam("confidence"),
            "classification": bindparam("classification", type_=MessageRow.__table__.c.classification.type),
        }
        if kind == "classified_with_parts":
            values |= {"parts": bindparam("new_parts", type_=MessageRow.__table__.c.parts.type)}
            values |= {"text": bindparam("new_text")}
    elif kind == "answered":
        values = {**free, **orderly, "state": State.ANSWERED.value, "answered_at": now}
    elif kind == "finished":
        values = {
            **free,
            "strikes": 0,
            "wake_at": None,
            "finished_at": now,
            "state": bindparam("state"),
            "sent_parts": func.coalesce(bindparam("sent_parts", type_=Integer), MessageRow.sent_parts),
            "sent_id": func.coalesce(bindparam("sent_id", type_=String), MessageRow.sent_id),
        }
    elif kind == "part_sent":
        values = {
            "step": bindparam("step"),
            "stepped_at": now,
            "note": bindparam("note"),
            "sent_parts": bindparam("sent_parts"),
            "sent_id": bindparam("sent_id"),
        }
    elif kind == "deferred":
        due = now + bindparam("delay_ms", type_=BigInteger)
        values = {
            **free,
            "not_before": due,
            "wake_at": wake_by(due),
            "strikes": bindparam("new_strikes"),
            "retries": MessageRow.retries + bindparam("retried"),
            "last_error": error_after(bindparam("note", type_=String), bindparam("new_strikes", type_=Integer)),
        }
    elif kind == "given_up":
        values = {
            **free,
            "verdict": bindparam("verdict"),
            "strikes": 0,
            "retries": 0,
            "attempt": MessageRow.attempt + 1,
            "wake_at": now,  # the next sweep starts the apology
            "last_error": bindparam("note"),
            # nothing of the answer is with the asker, for sure: then an apology does not come on top of it
            "replying_at": case(
                ((MessageRow.sent_parts == 0) & (MessageRow.strikes <= 1), None), else_=MessageRow.replying_at
            ),
        }
    else:
        raise ValueError(kind)
    statement = (
        update(MessageRow)
        .where(
            MessageRow.id == bindparam("message_id"),
            MessageRow.attempt == bindparam("held_attempt"),
            one_of((State.REPLYING,) if stage is Stage.REPLY else CLAIMABLE[stage]),
            MessageRow.finished_at.is_(None),
            MessageRow.lease_owner.is_not(None),
        )
        .values(**values)
    )
    return statement.returning(following_column(dialect)) if kind == "finished" else statement


def _change(connection: Connection, held: Claim, kind: str, step: str, now: int | None, **values: Any) -> Any:
    """Run `_held`; raises LostLease when the claim no longer holds."""
    values |= {
        "message_id": held.message_id,
        "held_attempt": held.attempt,
        "step": step,
        "note": values.get("note"),
    }
    if values["note"] is not None:
        values["note"] = cut(values["note"], 500)
    if now is not None:
        values["now"] = now
    result = connection.execute(_held(connection.dialect.name, now is not None, kind, held.stage), values)
    if kind == "finished":
        row = result.first()
        if row is not None:
            return as_following(row.following)
    elif result.rowcount == 1:
        return None
    raise LostLease(f"message {held.message_id} is no longer held by attempt {held.attempt}")


def save_classification(
    connection: Connection,
    held: Claim,
    classification: Classification,
    *,
    parts: Sequence[Mapping[str, Any]] | None = None,
    text: str = "",
    now: int | None = None,
) -> None:
    """received -> classified; with the parts and the text of the message, if they have changed. Raises LostLease."""
    changed = (
        {} if parts is None else {"new_parts": [clean_json(dict(part)) for part in parts], "new_text": clean(text)}
    )
    _change(
        connection,
        held,
        "classified_with_parts" if changed else "classified",
        "classified",
        now,
        note=f"{classification.label} ({classification.confidence:.2f})",
        label=cut(classification.label, 80),
        confidence=classification.confidence,
        classification={
            "label": classification.label,
            "confidence": classification.confidence,
            "reason": clean(classification.reason),
            "scores": dict(classification.scores),
        },
        **changed,
    )


def save_answer(
    connection: Connection,
    held: Claim,
    answer: Answer,
    *,
    sessions: Mapping[str, str] | None = None,
    now: int | None = None,
) -> None:
    """classified -> answered, with the answer, what it cost and the remote conversation ids to keep.

    Run it in a transaction.

    Raises LostLease.
    """
    _change(connection, held, "answered", "answered", now, note=answer.workflow or answer.provider)
    at = {} if now is None else {"now": now}
    connection.execute(
        _upsert(connection.dialect.name, AnswerRow, now is not None),
        {
            "message_id": held.message_id,
            "text": clean(answer.text),
            "parts": clean_json([{"kind": p.kind, "text": p.text, "data": dict(p.data)} for p in answer.parts]),
            "provider": cut(answer.provider, 80),
            "model": cut(answer.model, 120),
            "workflow": cut(answer.workflow, 80),
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
            "latency_ms": answer.latency_ms,
            "first_token_ms": answer.first_token_ms,
            "details": clean_json(dict(answer.details)),
            "spent": spending.for_answer(),
            **at,
        },
    )
    for answerer, session_id in (sessions or {}).items():
        connection.execute(
            _upsert(connection.dialect.name, SessionRow, now is not None),
            {
                "conversation_id": held.conversation_id,
                "answerer": answerer,
                "user_ref": held.sender_ref,
                "session_id": cut(session_id),
                **at,
            },
        )


@functools.cache
def _upsert(dialect: str, row: type[AnswerRow | SessionRow], timed: bool) -> Any:
    """INSERT of a whole row, or UPDATE of the one with this key; built once, which costs more than running it."""
    table: Any = row.__table__
    clock = "created_at" if row is AnswerRow else "updated_at"
    values: dict[str, Any] = {column.name: bindparam(column.name, type_=column.type) for column in table.c}
    values[clock] = now_or_given(timed)
    insert: Any = insert_into(table, dialect).values(values)
    keys = [column.name for column in table.primary_key]
    changes = {name: insert.excluded[name] for name in values if name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=changes)


def save_apology(connection: Connection, held: Claim, apology: Answer, *, now: int | None = None) -> None:
    """Keep what was said instead of an answer, for those who fetch it; an answer that exists stays."""
    connection.execute(
        insert_into(AnswerRow, connection.dialect.name)
        .values(
            message_id=held.message_id,
            text=clean(apology.text),
            parts=[],
            provider=apology.provider,
            model="",
            workflow="",
            input_tokens=0,
            output_tokens=0,
            latency_ms=0,
            details={},
            created_at=DB_NOW if now is None else now,
        )
        .on_conflict_do_nothing()
    )


def note_part_sent(
    connection: Connection, held: Claim, *, sent_parts: int, sent_id: str, note: str | None, now: int | None = None
) -> None:
    """One of several pieces has gone out; the next try goes on after it. Raises LostLease."""
    _change(connection, held, "part_sent", "part_sent", now, sent_parts=sent_parts, sent_id=cut(sent_id), note=note)


def finish(
    connection: Connection,
    held: Claim,
    state: State,
    *,
    sent_parts: int | None = None,
    sent_id: str = "",
    note: str | None = None,
    now: int | None = None,
) -> Following | None:
    """The end of a message; returns the one of its conversation whose turn it is now, if any waits. Raises LostLease.

    sent_parts: how many pieces have gone out in all; None: as many as were noted.
    """
    following: Following | None = _change(
        connection,
        held,
        "finished",
        state.value,
        now,
        state=state.value,
        sent_parts=sent_parts,
        sent_id=cut(sent_id) or None,
        note=note,
    )
    return following


def defer(
    connection: Connection,
    held: Claim,
    *,
    delay_ms: int,
    error: str,
    retried: bool = True,
    keep_strikes: bool = False,
    now: int | None = None,
) -> None:
    """Give the message back, to be tried again not before `delay_ms` from now. Raises LostLease.

    retried: counts as one of the stage's retries. keep_strikes: the work ended as it might end a process next time.
    """
    _change(
        connection,
        held,
        "deferred",
        f"{held.stage}:{'retry' if retried else 'released'}",
        now,
        delay_ms=delay_ms,
        note=error,
        retried=int(retried),
        new_strikes=held.strikes if keep_strikes else held.strikes - 1,
    )


def hand_over(connection: Connection, held: Claim, queue: str, *, now: int | None = None) -> None:
    """Give the message back at once, for processes that serve this queue; whoever says so starts it there. Raises
    LostLease."""
    _change(
        connection, held, "deferred", f"{HANDED_OVER}{queue}", now, delay_ms=0, retried=0, new_strikes=held.strikes - 1
    )


def give_up(connection: Connection, held: Claim, verdict: Verdict, *, error: str, now: int | None = None) -> None:
    """No answer will come: from here only `apologise` may go on. Raises LostLease."""
    if held.stage is Stage.APOLOGISE:
        raise ValueError("an apology that cannot be given is the end: end_in_silence")
    _change(connection, held, "given_up", f"given up: {verdict}", now, verdict=verdict.value, note=error)


def end_in_silence(connection: Connection, held: Claim, *, error: str, now: int | None = None) -> Following | None:
    """Not even the apology can be delivered: the message ends, for an alert to tell people. Raises LostLease."""
    state = State.QUARANTINED if held.verdict is Verdict.POISON else State.EXPIRED
    return finish(connection, held, state, note=f"no apology: {error}", now=now)
