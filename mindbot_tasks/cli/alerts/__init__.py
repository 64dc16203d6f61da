"""`mindbot alerts`: what fires, who was told, and what people do about it."""

from __future__ import annotations

import click

from mindbot_tasks.cli.alerts.done import ack, resolve, silence
from mindbot_tasks.cli.alerts.drill import drill
from mindbot_tasks.cli.alerts.export import export
from mindbot_tasks.cli.alerts.shown import list_, metrics, show, stats
from mindbot_tasks.cli.alerts.trying import test


@click.group()
def alerts() -> None:
    """List, acknowledge and silence alerts; try rules; export the history."""


for command in (list_, show, ack, resolve, silence, test, drill, metrics, stats, export):
    alerts.add_command(command)
