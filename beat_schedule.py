"""What runs when. Tasks stand here by name; each does its work once in its slot, however many beats there are."""

from __future__ import annotations

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "sweep": {"task": "mindbot.sweep", "schedule": 5.0, "options": {"expires": 10}},
    "summarise": {"task": "mindbot.summarise", "schedule": 15.0, "options": {"expires": 14}},
    "purge": {"task": "mindbot.purge", "schedule": 3600.0, "options": {"expires": 600}},
}
