"""Which periodic tasks have work with these settings: beat leaves out the others, for rest shall cost little.

Only what can be said by the settings alone, without loading what they configure. When in doubt a task has work: it
looks more closely itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mindbot_tasks.core.settings.root import Settings


def _alerts(settings: Settings) -> bool:
    return settings.alert_manager is not None and settings.alert_manager.enabled


def _answers(settings: Settings) -> bool:
    return bool(settings.workflows or settings.agent or settings.providers)


#: by name in `beat_schedule.py`; what is not here always has work
_HAS_WORK: Final[Mapping[str, Callable[[Settings], bool]]] = {
    "summarise": lambda settings: bool(settings.providers),  # summaries are written by models
    "tally": _answers,
    "learn": lambda settings: settings.classifier.enabled and bool(settings.workflows),
    "tend": lambda settings: settings.chromadb is not None,
    "probe": _alerts,
    "judge": _alerts,
    "escalate": _alerts,
}


def has_work(name: str, settings: Settings) -> bool:
    """Whether the entry `name` of the schedule has anything to do, ever, with these settings."""
    look = _HAS_WORK.get(name)
    return look is None or look(settings)
