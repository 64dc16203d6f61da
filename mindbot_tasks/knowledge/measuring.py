"""Times searches in what was read, for /metrics."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, TypeVar

from mindbot_tasks.core.metrics import KNOWLEDGE_SECONDS
from mindbot_tasks.model.knowledge import Found

Search = TypeVar("Search", bound=Callable[..., Found])


def timed(search: Search) -> Search:
    """Count each search by what came of it: found, nothing, or the part that did not work."""

    @functools.wraps(search)
    def measured(*args: Any, **options: Any) -> Found:
        began = time.perf_counter()
        found = search(*args, **options)
        outcome = found.trouble or ("found" if found.passages else "nothing")
        KNOWLEDGE_SECONDS.labels(options.get("mode", "hybrid"), outcome).observe(time.perf_counter() - began)
        return found

    return measured  # type: ignore[return-value]
