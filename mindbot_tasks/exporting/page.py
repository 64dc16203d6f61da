"""All figures together: what the processes of this machine have counted, and what is read when somebody asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import GaugeMetricFamily

from mindbot_tasks.core import metrics
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.exporting import fleet, machine, records, workflows
from mindbot_tasks.readiness import state
from mindbot_tasks.stores.database import reading

log = structlog.get_logger(__name__)

#: what takes statements, or a look at all processes, is read so often at the most, however many ask
CACHE_S: Final = 10.0

Families = list[GaugeMetricFamily]


def render() -> tuple[bytes, str]:
    """The page in the text format of Prometheus, and its content type."""
    return metrics.as_text([*metrics.families(), *of_machine(), *of_fleet()]), CONTENT_TYPE_LATEST


def of_fleet() -> Families:
    """What all machines have in common. Never raises for a database or broker that is away."""
    return [*fleet.of_ledger(*state.get()), *fleet.of_redis(get_settings()), *_recorded.get()]


def of_machine() -> Families:
    """What only this machine knows."""
    return _machine.get()


class _Cached:
    """Looked at once in a while; who asks meanwhile gets what was found."""

    def __init__(self, look: Callable[[], Iterator[GaugeMetricFamily]]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._last: Families = []

    def get(self) -> Families:
        with self._lock:
            if time.monotonic() - self._at > CACHE_S:
                self._last = list(self._look())
                self._at = time.monotonic()
            return self._last

    def forget(self) -> None:
        with self._lock:
            self._at = float("-inf")


def _records() -> Iterator[GaugeMetricFamily]:
    settings = get_settings()
    try:
        with reading() as connection:
            found = list(records.of_database(connection, settings))
        yield from found
        yield from workflows.of_workflows(settings)
    except DatabaseUnavailable as exc:
        log.debug("figures_without_database", reason=str(exc))


_recorded = _Cached(_records)
_machine = _Cached(lambda: machine.of_machine(get_settings()))


def forget() -> None:
    """For tests."""
    _recorded.forget()
    _machine.forget()
