"""`mindbot bridges`: one process for each configured connection that MindBot itself has to hold open."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import click
import structlog

from mindbot_tasks.cli.supervision.child import Spec
from mindbot_tasks.cli.supervision.lines import Lines
from mindbot_tasks.cli.supervision.supervisor import Step, Supervisor
from mindbot_tasks.cli.supervision.words import Words
from mindbot_tasks.core import log as logging
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.stores import connections

log = structlog.get_logger(__name__)

# kind of connection -> the module that knows how its process is started: command(bot) -> list[str]
MODULES = {"dingtalk": "mindbot_tasks.bridges.dingtalk", "aim": "mindbot_tasks.bridges.aim"}


def configured(settings: Settings) -> list[str]:
    """The connections that the configuration asks for, as `kind:bot`."""
    return [f"{platform}:{bot}" for platform, bot in connections.wanted(settings)]


def supported(names: Iterable[str]) -> list[str]:
    """Those of them that this version can hold."""
    return [name for name in names if importlib.util.find_spec(MODULES[name.partition(":")[0]])]


def specs(names: Iterable[str], environ: Mapping[str, str]) -> list[Spec]:
    """What to start for each."""
    # `celery` of this installation, whatever else is on PATH
    path = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    environment = {**environ, "PATH": path, "MINDBOT_ROLE": environ.get("MINDBOT_ROLE") or "bridges"}
    found = []
    for name in names:
        kind, _, bot = name.partition(":")
        found.append(Spec(name, importlib.import_module(MODULES[kind]).command(bot), environment))
    return found


class Passed(Lines):
    """What the bridges write, as it is (they write JSON, each line with its role); what we say becomes a log line."""

    def of_role(self, role: str, text: str) -> None:
        """A line that a bridge wrote."""
        self.plain(text)

    def note(self, role: str, text: str) -> None:
        """A line of ours about a bridge."""
        log.info("bridge", bridge=role, what=text)

    def say(self, role: str, text: str) -> None:
        """A line of ours that matters."""
        log.warning("bridge", bridge=role, what=text)


@click.command()
def bridges() -> None:
    """Hold the connections that platforms do not open themselves (DingTalk Stream, AIM)."""
    try:
        settings = get_settings()
    except SettingsError as problem:
        raise click.ClickException(str(problem)) from problem
    names = configured(settings)
    if not names:
        click.echo("no bridge is configured")
        sys.exit(0)
    held = supported(names)
    logging.configure(os.environ.get("MINDBOT_ROLE") or "bridges", settings)
    for name in sorted(set(names) - set(held)):
        log.error("bridge_unsupported", bridge=name)
    if not held:
        sys.exit(1)
    hold(specs(held, os.environ))


def hold(wanted: Iterable[Spec]) -> None:
    """Start them, start again what dies, and end all at once when told to."""
    # one that is a worker may drain, but not outlive the patience of `mindbot up`
    patience_s = get_settings().times.guard_s + 0.5
    supervisor = Supervisor(Passed([]), Words("en"), steps=(Step(None, next_at_s=patience_s, kill_at_s=patience_s),))
    with supervisor.signals():
        try:
            for spec in wanted:
                supervisor.start(spec)
            supervisor.run_until(lambda: False)
        finally:
            supervisor.stop()
