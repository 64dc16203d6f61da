"""Which process roles of the Procfile this machine needs, and why; a table that `mindbot up --plan` shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from honcho import environ

from mindbot_tasks.cli import bridges, watchdog
from mindbot_tasks.cli.supervision.instance import CannotStart
from mindbot_tasks.cli.supervision.words import Words
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import catalogue

RELEASE = "release"


@dataclass(frozen=True)
class Need:
    """Whether a role is started; the reason is a key of the words with its fields."""

    starts: bool
    reason: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Planned:
    """One line of the plan."""

    role: str
    command: str
    starts: bool
    reason: str


def need_bridges(settings: Settings) -> Need:
    names = bridges.configured(settings)
    if not names:
        return Need(False, "no_bridge", {})
    supported = bridges.supported(names)
    return Need(bool(supported), "bridge_wanted" if supported else "bridge_unsupported", {"names": ", ".join(names)})


def need_ingest(settings: Settings) -> Need:
    wanted = settings.chromadb is not None
    return Need(wanted, "knowledge_wanted" if wanted else "no_knowledge", {})


def need_agent(settings: Settings) -> Need:
    return Need(settings.runs_agent, "agent_wanted" if settings.runs_agent else "no_agent", {})


def need_watchdog(settings: Settings) -> Need:
    if not watchdog.is_wanted(settings):
        return Need(False, "no_alerts", {})
    supported = watchdog.is_supported()
    return Need(supported, "alerts_wanted" if supported else "watchdog_unsupported", {})


def need_local_model(settings: Settings) -> Need:
    names = [
        name
        for name, provider in settings.providers.items()
        if provider.enabled and catalogue.runs_here(name, provider) and any(model.path for model in provider.models)
    ]
    if not names:
        return Need(False, "no_local_model", {})
    supported = catalogue.has_transformers()
    return Need(supported, "local_model_wanted" if supported else "no_local_extra", {"names": ", ".join(names)})


# Roles that are not named here are always started.
NEEDS: Mapping[str, Callable[[Settings], Need]] = {
    "bridges": need_bridges,
    "worker_agent": need_agent,
    "worker_ingest": need_ingest,
    "watchdog": need_watchdog,
    "local_model": need_local_model,
}


def read_procfile(path: Path, words: Words) -> dict[str, str]:
    """Role -> command line, in the file's order. Raises CannotStart."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise CannotStart(words("procfile_missing", path=path)) from problem
    return dict(environ.parse_procfile(text).processes)


def plan(commands: Mapping[str, str], settings: Settings, words: Words, *, only: Collection[str] = ()) -> list[Planned]:
    """What happens to each role. Raises CannotStart for a name in `only` that is no role."""
    roles = {role: command for role, command in commands.items() if role != RELEASE}
    for asked in only:
        if asked not in roles:
            raise CannotStart(words("role_unknown", role=asked, roles=", ".join(roles)))
    lines = []
    for role, command in roles.items():
        need = NEEDS[role](settings) if role in NEEDS else Need(True, "always", {})
        if only and role not in only:
            need = Need(False, "asked_not", {})
        lines.append(Planned(role, command, need.starts, words(need.reason, **need.fields)))
    return lines


def shell(command: str) -> list[str]:
    """How to run a line of a Procfile such that signals reach the program and not a shell around it.

    >>> shell("celery -c ${N:-2}")
    ['/bin/sh', '-c', 'exec celery -c ${N:-2}']
    >>> shell("mkdir -p var && exec celery beat")
    ['/bin/sh', '-c', 'mkdir -p var && exec celery beat']
    """
    simple = not re.search(r"&&|\|\||[;|&<>]|^\s*exec\s|^\s*\w+=", command)
    return ["/bin/sh", "-c", f"exec {command}" if simple else command]
