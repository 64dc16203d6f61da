"""Labelled examples that people's reactions leave behind, and the versions of the classifier trained from them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, ScalarSelect, String, bindparam, delete, func, insert, literal, select, update

from mindbot_tasks.model.message import State
from mindbot_tasks.stores.cleaning import cut
from mindbot_tasks.stores.clock import DB_NOW, later
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables import AnswerRow, FeedbackRow, Id, MessageRow
from mindbot_tasks.stores.tables_learning import ExampleRow, VersionRow

Source = Literal["correction", "reask", "thumb"]


@dataclass(frozen=True, slots=True)
class Example:
    """A message of which somebody has shown what it was."""

    message_id: int
    text: str
    label: str
    source: Source
    given_by: str
    given_at: int  #: milliseconds since 1970
    taken_for: str  #: the label that it had
    platform: str
    bot: str


@dataclass(frozen=True, slots=True)
class Version:
    """A trained version, without its weights."""

    version: int
    figures: Mapping[str, Any]
    created_at: int
    active: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that was answered, as far as it matters for finding questions that were asked twice."""

    message_id: int
    conversation_id: int
    sender_ref: str
    text: str
    label: str
    workflow: str  #: that answered; "" if none did
    received_at: int
    disliked: bool


def give_label(connection: Connection, message_id: int, label: str, source: Source, given_by: str) -> bool:
    """Keep what a message was; False when there is no such message.

    A correction wins over what was concluded from reactions, and a later one over an earlier one.
    """
    found = connection.execute(select(MessageRow.id).where(MessageRow.id == message_id)).scalar()
    if found is None:
        return False
    values = {"message_id": message_id, "label": cut(label, 80), "source": source, "given_by": cut(given_by)}
    connection.execute(_upsert(connection.dialect.name), values)
    return True


def note_thumb(connection: Connection, message_id: int, *, liked: bool) -> None:
    """An answer that a workflow of the message's own kind gave was liked, or disliked."""
    connection.execute(delete(ExampleRow).where(ExampleRow.message_id == message_id, ExampleRow.source == "thumb"))
    if not liked:
        return
    answered = connection.execute(
        select(MessageRow.label, AnswerRow.workflow)
        .join(AnswerRow, AnswerRow.message_id == MessageRow.id)
        .where(MessageRow.id == message_id)
    ).first()
    if answered is not None and answered.label and is_of(answered.workflow, answered.label):
        give_label(connection, message_id, answered.label, "thumb", "")


def is_of(workflow: str, label: str) -> bool:
    """Whether an answer came from the workflow of this label, or from a variant of it ("code_analysis/b")."""
    return workflow == label or workflow.startswith(f"{label}/")


@functools.cache
def _upsert(dialect: str) -> Any:
    texts = ("label", "source", "given_by")
    values: dict[str, Any] = {name: bindparam(name, type_=String) for name in texts}
    values |= {"message_id": bindparam("message_id", type_=Id), "given_at": DB_NOW}
    row: Any = insert_into(ExampleRow.__table__, dialect).values(values)
    new = row.excluded
    return row.on_conflict_do_update(
        index_elements=["message_id"],
        set_={name: new[name] for name in (*texts, "given_at")},
        where=(new.source == "correction")
        | ((ExampleRow.source != "correction") & ((new.source == "reask") | (ExampleRow.source == "thumb"))),
    )


def examples(connection: Connection, *, limit: int | None = None) -> Sequence[Example]:
    """What was collected, newest first."""
    rows = connection.execute(
        select(
            ExampleRow.message_id, MessageRow.text, ExampleRow.label, ExampleRow.source, ExampleRow.given_by,
            ExampleRow.given_at, func.coalesce(MessageRow.label, "").label("taken_for"),
            MessageRow.platform, MessageRow.bot,
        )
        .join(MessageRow, MessageRow.id == ExampleRow.message_id)
        .order_by(ExampleRow.given_at.desc(), ExampleRow.message_id.desc())
        .limit(limit)
    )  # fmt: skip
    return [
        Example(
            row.message_id, row.text, row.label, row.source, row.given_by, row.given_at, row.taken_for,
            row.platform, row.bot,
        )
        for row in rows
    ]  # fmt: skip


def answered_since(connection: Connection, since_ms_ago: int, *, limit: int = 20_000) -> list[Asked]:
    """The messages that workflows or models have answered in the last `since_ms_ago`, oldest first; at most `limit`."""
    found: list[Asked] = []
    before: int | None = None
    while len(found) < limit:
        rows = connection.execute(_answered_before(before), {"since": since_ms_ago, "before": before or 0}).all()
        found += [
            Asked(
                row.id, row.conversation_id, row.sender_ref, row.text, row.label, row.workflow,
                row.received_at, bool(row.disliked),
            )
            for row in rows
            if row.young and row.label
        ]  # fmt: skip
        if len(rows) < _BATCH or not rows[-1].young:
            break
        before = rows[-1].id
    return found[::-1]


_BATCH = 500


def _answered_before(before: int | None) -> Any:
    disliked = select(literal(1)).where(FeedbackRow.message_id == MessageRow.id, FeedbackRow.vote == "down").exists()
    statement = (
        select(
            MessageRow.id, MessageRow.conversation_id, MessageRow.sender_ref, MessageRow.text, MessageRow.label,
            AnswerRow.workflow, MessageRow.received_at, disliked.label("disliked"),
            (MessageRow.received_at > DB_NOW - bindparam("since", type_=MessageRow.received_at.type)).label("young"),
        )
        .join(AnswerRow, AnswerRow.message_id == MessageRow.id)
        .where(MessageRow.state == State.REPLIED.value)
        .order_by(MessageRow.id.desc())
        .limit(_BATCH)
    )  # fmt: skip
    return statement if before is None else statement.where(MessageRow.id < bindparam("before", type_=Id))


def add_version(connection: Connection, data: bytes, figures: Mapping[str, Any]) -> int:
    """Keep a trained version, not yet active; returns its number."""
    return connection.execute(
        insert(VersionRow).values(data=data, figures=dict(figures), created_at=DB_NOW).returning(VersionRow.id)
    ).scalar_one()


def activate(connection: Connection, version: int) -> bool:
    """Make a version the active one; 0: the one that comes with MindBot. False when there is no such version."""
    if version == 0:
        connection.execute(update(VersionRow).where(VersionRow.activated_at.is_not(None)).values(activated_at=None))
        return True
    # the clock may stand still between two of these, or have been put back
    last = select(func.coalesce(func.max(VersionRow.activated_at), 0) + 1).scalar_subquery()
    changed = connection.execute(
        update(VersionRow).where(VersionRow.id == version).values(activated_at=later(DB_NOW, last))
    )
    return changed.rowcount == 1


def active() -> ScalarSelect[int]:
    """The number of the active version, as a part of another statement; NULL: the one that comes with MindBot."""
    return (
        select(VersionRow.id)
        .where(VersionRow.activated_at.is_not(None))
        .order_by(VersionRow.activated_at.desc())
        .limit(1)
        .scalar_subquery()
    )


def active_version(connection: Connection) -> int:
    """The number of the active version; 0: the one that comes with MindBot."""
    return connection.execute(select(active())).scalar() or 0


def data_of(connection: Connection, version: int) -> bytes | None:
    """The weights of a version."""
    found: bytes | None = connection.execute(select(VersionRow.data).where(VersionRow.id == version)).scalar()
    return found


def versions(connection: Connection) -> list[Version]:
    """All that were trained here, newest first."""
    current = active_version(connection)
    rows = connection.execute(
        select(VersionRow.id, VersionRow.figures, VersionRow.created_at).order_by(VersionRow.id.desc())
    )
    return [Version(row.id, row.figures, row.created_at, row.id == current) for row in rows]


def forget_versions(connection: Connection, *, keep: int) -> int:
    """Drop all but the newest `keep` versions and the active one; returns how many went."""
    newest = select(VersionRow.id).order_by(VersionRow.id.desc()).limit(keep)
    ids = set(connection.execute(newest).scalars()) | {active_version(connection)}
    return connection.execute(delete(VersionRow).where(VersionRow.id.not_in(ids))).rowcount
