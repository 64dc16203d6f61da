"""Makes a Celery worker hold the AIM accounts whose queues it serves; loaded by `-I` of `bridges.aim.command`."""

from __future__ import annotations

from typing import Any

import structlog
from celery import bootsteps, signals

from mindbot_tasks.app import app
from mindbot_tasks.bridges.aim_line import AimLine
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.platforms.queues import own_queues

log = structlog.get_logger(__name__)

_lines: list[AimLine] = []


class HoldsAccounts(bootsteps.StartStopStep):
    """Begins to sign on before the worker takes its first task."""

    def start(self, parent: Any) -> None:
        settings = get_settings()
        bots = own_queues(settings)
        for queue in parent.app.amqp.queues.consume_from:
            platform, bot = bots.get(queue, ("", ""))
            if platform == "aim":
                line = AimLine(bot, settings.aim[bot])
                line.start()
                _lines.append(line)


app.steps["worker"].add(HoldsAccounts)


@signals.worker_shutdown.connect
def _sign_off(**_: Any) -> None:
    """Not in the step's `stop`: the last running replies still need the connection, and end after it."""
    while _lines:
        _lines.pop().close()
