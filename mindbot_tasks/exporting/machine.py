"""What this machine knows of itself, as gauges: its processes, and its watchdog by the file that it writes."""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from prometheus_client.core import GaugeMetricFamily

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.exporting import catalogue

#: what `mindbot watchdog` writes after each look
WATCHDOG_FILE = "watchdog.json"
_PROC = Path("/proc")


def of_machine(settings: Settings) -> Iterator[GaugeMetricFamily]:
    """Cheap: a few files of /proc for each process of ours."""
    yield catalogue.BUILD.of([((_version(),), 1)])
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory:
        memory = _memory_by_role(directory)
        yield catalogue.PROCESSES.of(((role,), len(sizes)) for role, sizes in sorted(memory.items()))
        yield catalogue.MEMORY.of(((role,), sum(sizes)) for role, sizes in sorted(memory.items()))
    if settings.alert_manager is not None and settings.alert_manager.enabled:
        yield from _watchdog(settings.home / WATCHDOG_FILE)


@cache
def _version() -> str:
    try:
        return importlib.metadata.version("mindbot")
    except importlib.metadata.PackageNotFoundError:  # a checkout that nobody installed
        return "unknown"


def _memory_by_role(directory: str) -> dict[str, list[int]]:
    """Role -> resident bytes of each process that counts into this directory: those that were started together."""
    found: dict[str, list[int]] = {}
    page = os.sysconf("SC_PAGE_SIZE")
    for place in _PROC.iterdir() if _PROC.is_dir() else ():
        if not place.name.isdigit():
            continue
        try:
            environment = (place / "environ").read_bytes()
            if f"PROMETHEUS_MULTIPROC_DIR={directory}\0".encode() not in environment:
                continue
            role = next((each[13:] for each in environment.split(b"\0") if each.startswith(b"MINDBOT_ROLE=")), b"")
            pages = int((place / "statm").read_bytes().split()[1])
        except (OSError, IndexError, ValueError):  # somebody else's, or gone by now
            continue
        if role and pages:
            found.setdefault(role.decode(errors="replace"), []).append(pages * page)
    return found


def _watchdog(file: Path) -> Iterator[GaugeMetricFamily]:
    """Nothing where no watchdog has ever written: it may live on another machine."""
    try:
        written_at = file.stat().st_mtime
        told: Mapping[str, Any] = orjson.loads(file.read_bytes())
        troubles = {str(part): float(one["since"]) for part, one in told["troubles"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return
    now = time.time()
    yield catalogue.WATCHDOG_AGE.one(max(0.0, now - written_at))
    yield catalogue.WATCHDOG_TROUBLES.of(((part,), max(0.0, now - since)) for part, since in troubles.items())
