"""All tables at once, whichever module describes them; for migrations and for whoever empties a database."""

from __future__ import annotations

from mindbot_tasks.stores import tables_alerts  # noqa: F401 - its tables belong to the metadata
from mindbot_tasks.stores.tables import Base

METADATA = Base.metadata
