"""All tables at once, whichever module describes them; for migrations and for whoever empties a database."""

from __future__ import annotations

from mindbot_tasks.stores import tables_context as tables_context
from mindbot_tasks.stores.tables import Base

METADATA = Base.metadata
