"""What runs when. Tasks stand here by name; each does its work once in its slot, however many beats there are."""

from __future__ import annotations

from typing import Any

_CANARY_QUEUES = ("collect", "classify", "generate", "reply", "ingest", "alerts", "upkeep")

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "sweep": {"task": "mindbot.sweep", "schedule": 5.0, "options": {"expires": 10}},
    "purge": {"task": "mindbot.purge", "schedule": 3600.0, "options": {"expires": 600}},
} | {
    f"canary of {queue}": {
        "task": "mindbot.canary",
        "schedule": 10.0,
        "args": (queue,),
        "options": {"queue": queue, "expires": 30},
    }
    for queue in _CANARY_QUEUES
}
