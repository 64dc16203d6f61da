"""All tables at once, whichever module describes them; for migrations and for whoever empties a database."""

from __future__ import annotations

from mindbot_tasks.stores import (
    tables_agent,
    tables_alerts,
    tables_context,
    tables_knowledge,
    tables_learning,
    tables_routing,
    tables_spending,
)
from mindbot_tasks.stores.tables import Base

METADATA = Base.metadata

__all__ = [
    "METADATA",
    "tables_agent",
    "tables_alerts",
    "tables_context",
    "tables_knowledge",
    "tables_learning",
    "tables_routing",
    "tables_spending",
]
