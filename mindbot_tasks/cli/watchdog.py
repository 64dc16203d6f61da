"""`mindbot watchdog`: the alarm that still works when every worker is gone."""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
from types import FrameType

import click

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings, get_settings

MODULE = "mindbot_tasks.alerting.watchdog"
STATE_FILE = "watchdog.json"


def is_wanted(settings: Settings) -> bool:
    """Whether alerts are switched on."""
    return settings.alert_manager is not None and settings.alert_manager.enabled


def is_supported() -> bool:
    """Whether this version has one."""
    return importlib.util.find_spec(MODULE) is not None


@click.command()
@click.option("--once", is_flag=True, help="Look once, and say what is unwell.")
def watchdog(once: bool) -> None:
    """Send an alert when no worker is left to do it."""
    try:
        settings = get_settings()
    except SettingsError as problem:
        raise click.ClickException(str(problem)) from problem
    if not is_wanted(settings) or settings.alert_manager is None:
        click.echo("alert_manager is off: nothing to watch")
        sys.exit(0)
    from mindbot_tasks.alerting import watching
    from mindbot_tasks.alerting.registry import get_notifiers
    from mindbot_tasks.alerting.watchdog import Watchdog
    from mindbot_tasks.core import log
    from mindbot_tasks.exporting import listener
    from mindbot_tasks.stores.database import answer_within

    log.configure("watchdog")
    answer_within(2.0)  # a database that hangs is one that is away
    if once:
        verdicts = {part: look() for part, (look, _) in watching.looks(settings).items()}
        for part, well in verdicts.items():
            click.echo(f"{part}: {'well' if well else 'unknown' if well is None else 'UNWELL'}")
        sys.exit(1 if False in verdicts.values() else 0)
    listener.begin()
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    Watchdog(
        settings.alert_manager,
        watching.looks(settings),
        get_notifiers(),
        settings.home / STATE_FILE,
        remember=lambda past: watching.remember(settings, past),
        pulse=lambda: watching.pulse(settings),
    ).run(stop)
