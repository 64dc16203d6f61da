"""How long to wait before the next try: doubling, with full jitter, so that a fleet does not come back in step."""

from __future__ import annotations

import random


class Backoff:
    """Seconds to wait after failures in a row."""

    def __init__(self, first_s: float, most_s: float, *, seed: int | None = None) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._random = random.Random(seed)  # noqa: S311 - spreads load, hides nothing
        self.failures = 0

    def failed(self) -> float:
        """One more failure; how long to wait now: anything from nothing to the doubled limit."""
        self.failures += 1
        limit_s = min(self._most_s, self._first_s * 2.0 ** min(self.failures - 1, 30))
        return self._random.uniform(0, limit_s)

    def refused(self) -> float:
        """It makes no sense to try again soon: nearly the longest wait."""
        self.failures += 1
        return self._random.uniform(self._most_s * 0.8, self._most_s)

    def worked(self) -> None:
        """Begin at the beginning next time."""
        self.failures = 0
