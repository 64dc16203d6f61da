"""How long conditions of rules have held: kept so that `for` goes on where another process left off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sqlalchemy import Connection, delete, select, tuple_

from mindbot_tasks.model.alert import Phase, Track
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables import DutyRow
from mindbot_tasks.stores.tables_alerts import AlertConditionRow

_PASS = "rules judged"  # noqa: S105 - the name of a duty


def tracks(connection: Connection) -> dict[tuple[str, str], Track]:
    """By rule and subject; what is idle has none."""
    return {
        (row.rule, row.subject): Track(cast(Phase, row.phase), row.since, row.false_since)
        for row in connection.execute(select(AlertConditionRow.__table__))
    }


def keep(
    connection: Connection,
    before: Mapping[tuple[str, str], Track],
    after: Mapping[tuple[str, str], Track],
    *,
    now: int,
) -> None:
    """Write what has changed."""
    gone = [key for key in before if key not in after]
    if gone:
        connection.execute(
            delete(AlertConditionRow).where(tuple_(AlertConditionRow.rule, AlertConditionRow.subject).in_(gone))
        )
    changed = {key: track for key, track in after.items() if before.get(key) != track}
    if not changed:
        return
    row = insert_into(AlertConditionRow, connection.dialect.name)
    row = row.values(
        [
            {"rule": rule, "subject": subject, "phase": track.phase, "since": track.since,
             "false_since": track.false_since, "judged_at": now}
            for (rule, subject), track in changed.items()
        ]
    )  # fmt: skip
    new = row.excluded
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["rule", "subject"],
            set_={"phase": new.phase, "since": new.since, "false_since": new.false_since, "judged_at": new.judged_at},
        )
    )


def last_pass(connection: Connection, *, now: int) -> int | None:
    """When rules were judged before this pass, which is noted; None: never."""
    last = connection.execute(select(DutyRow.ran_at).where(DutyRow.name == _PASS)).scalar()
    row = insert_into(DutyRow, connection.dialect.name)
    connection.execute(
        row.values(name=_PASS, ran_at=now).on_conflict_do_update(index_elements=["name"], set_={"ran_at": now})
    )
    return last
