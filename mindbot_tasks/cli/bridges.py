"""`mindbot bridges`: one process for each configured connection that MindBot itself has to hold open."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable

import click

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings, get_settings

# kind of connection -> the module that holds it
MODULES = {"dingtalk": "mindbot_tasks.bridges.dingtalk_stream", "aim": "mindbot_tasks.bridges.aim"}


def configured(settings: Settings) -> list[str]:
    """The connections that the configuration asks for, as `kind:bot`."""
    streams = [f"dingtalk:{bot}" for bot, section in settings.dingtalk.items() if section.mode == "stream"]
    return [*streams, *(f"aim:{bot}" for bot in settings.aim)]


def supported(names: Iterable[str]) -> list[str]:
    """Those of them that this version can hold."""
    return [name for name in names if importlib.util.find_spec(MODULES[name.partition(":")[0]])]


@click.command()
def bridges() -> None:
    """Hold the connections that platforms do not open themselves (DingTalk Stream, AIM)."""
    try:
        names = configured(get_settings())
    except SettingsError as problem:
        raise click.ClickException(str(problem)) from problem
    if not names:
        click.echo("no bridge is configured")
        sys.exit(0)
    raise click.ClickException(
        f"configured, but this version cannot hold such a connection: {', '.join(names)}. "
        "For DingTalk use `mode: http` until it can."
    )
