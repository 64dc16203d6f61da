"""`mindbot watchdog`: the alarm that still works when every worker is gone."""

from __future__ import annotations

import importlib.util
import sys

import click

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings, get_settings

MODULE = "mindbot_tasks.alerting.watchdog"


def is_wanted(settings: Settings) -> bool:
    """Whether alerts are switched on."""
    return settings.alert_manager is not None and settings.alert_manager.enabled


def is_supported() -> bool:
    """Whether this version has one."""
    return importlib.util.find_spec(MODULE) is not None


@click.command()
def watchdog() -> None:
    """Send an alert when no worker is left to do it."""
    try:
        wanted = is_wanted(get_settings())
    except SettingsError as problem:
        raise click.ClickException(str(problem)) from problem
    if not wanted:
        click.echo("alert_manager is off: nothing to watch")
        sys.exit(0)
    raise click.ClickException("alert_manager is on, but this version has no watchdog")
