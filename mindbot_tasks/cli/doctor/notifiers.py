"""Ways to reach people: each is asked whether its credentials hold, and nobody is told anything."""

from __future__ import annotations

from mindbot_tasks.cli.doctor.asking import CALL_S, Asked, refused
from mindbot_tasks.cli.doctor.finding import ok
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.notifiers.base import Examined, Notifier


def look_at_notifier(asked: Asked, notifier: Notifier) -> None:
    """One that cannot be asked without sending something is not looked at."""
    if not isinstance(notifier, Examined):
        return
    what = f"alerts.{notifier.name}"
    try:
        told = notifier.examine(Deadline(CALL_S))
    except FarSideError as exc:
        asked.findings.append(refused(what, exc, "check_credentials", said_no=not exc.retryable))
    else:
        asked.findings.append(ok(what, "notifier_fine", told=told))
