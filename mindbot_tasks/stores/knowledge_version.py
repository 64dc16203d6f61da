"""Which version of the knowledge this process has heard of: with the pulse of a worker, so it costs no statement."""

from __future__ import annotations

from sqlalchemy import func, select

from mindbot_tasks.stores.tables_knowledge import KnowledgeBaseRow

NEWEST = select(func.max(KnowledgeBaseRow.version)).scalar_subquery()

_heard = 0


def follow(version: int) -> None:
    """The database says so."""
    global _heard
    _heard = version


def heard() -> int:
    """0: the bot has read nothing, as far as this process knows."""
    return _heard
