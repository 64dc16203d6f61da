"""What runs when. Tasks stand here by name; each does its work once in its slot, however many beats there are.

Beat leaves out what has no work with the settings at hand: `mindbot_tasks/core/settings/at_rest.py`.
"""

from __future__ import annotations

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "sweep": {"task": "mindbot.sweep", "schedule": 5.0, "options": {"expires": 10}},
    "summarise": {"task": "mindbot.summarise", "schedule": 15.0, "options": {"expires": 14}},
    "tally": {"task": "mindbot.tally", "schedule": 30.0, "options": {"expires": 60}},
    "probe": {"task": "mindbot.probe", "schedule": 5.0, "options": {"expires": 10, "queue": "alerts"}},
    "judge": {
        "task": "mindbot.judge",
        "schedule": 5.0,
        "kwargs": {"asked_by": "beat"},
        "options": {"expires": 10, "queue": "alerts"},
    },
    "escalate": {"task": "mindbot.escalate", "schedule": 5.0, "options": {"expires": 10, "queue": "alerts"}},
    "learn": {"task": "mindbot.learn", "schedule": 900.0, "options": {"expires": 600}},
    "tend": {"task": "mindbot.tend", "schedule": 10.0, "options": {"expires": 20}},
    "purge": {"task": "mindbot.purge", "schedule": 3600.0, "options": {"expires": 600}},
}
