"""`mindbot flower`: Celery's monitor with generated credentials, read-only, on loopback."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Any

import click

from mindbot_tasks.cli.supervision.instance import flower_credentials
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import get_settings

#: what a task shows instead of its arguments and result, should one ever hold more than ids
HIDDEN = "..."
SHOWN_ARGUMENTS = 60  # a tuple of ids is shorter


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a server that listens here.

    >>> [is_loopback(a) for a in ("127.0.0.1", "localhost", "::1", "", "0.0.0.0", "10.0.0.7")]
    [True, True, True, False, False, False]
    """
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def format_task(task: Any) -> Any:
    """Show ids, hide anything that could be a person's words: long arguments, results, error texts."""
    for name in ("args", "kwargs"):
        if len(str(getattr(task, name, "") or "")) > SHOWN_ARGUMENTS:
            setattr(task, name, HIDDEN)
    for name in ("result", "exception", "traceback"):
        if getattr(task, name, None):
            setattr(task, name, HIDDEN)
    return task


def flower_environment(environment: dict[str, str], home: Path, address: str, port: int) -> dict[str, str]:
    """Flower's own FLOWER_* options. Raises SettingsError for an open door.

    A login of the operator's own (FLOWER_BASIC_AUTH, FLOWER_AUTH) is left alone; an empty FLOWER_BASIC_AUTH means that
    no login is wanted, which only loopback may have; else one is made up.
    """
    own_login = bool(environment.get("FLOWER_BASIC_AUTH") or environment.get("FLOWER_AUTH"))
    no_login = not own_login and environment.get("FLOWER_BASIC_AUTH") == ""
    if no_login and not is_loopback(address):
        raise SettingsError(f"Flower without a login may only listen on loopback, not on {address or 'all addresses'}")
    login = {} if own_login or no_login else {"FLOWER_BASIC_AUTH": flower_credentials(home)[1]}
    return {
        **login,
        "FLOWER_ADDRESS": address,
        "FLOWER_PORT": str(port),
        "FLOWER_READ_ONLY": environment.get("FLOWER_READ_ONLY", "true"),
        "FLOWER_MAX_TASKS": environment.get("FLOWER_MAX_TASKS", "10000"),
        # at its own level Flower prints twenty lines at each start, which hide what the newcomer should read
        "FLOWER_LOGGING": environment.get("FLOWER_LOGGING", "warning"),
    }


@click.command()
@click.option("--address", envvar="FLOWER_ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", envvar="FLOWER_PORT", default=5555, show_default=True, help="Where to listen.")
def flower(address: str, port: int) -> None:
    """Watch the workers with Flower; the login stands in <data>/flower.auth."""
    # Flower counts for itself, at its own /metrics, and by names of processes, of which there is no end
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    try:
        home = get_settings().home
        home.mkdir(parents=True, exist_ok=True)
        # In our own environment, not on a command line: the arguments of a process are public, and what is put here
        # after the start does not even appear in /proc.
        os.environ.update(flower_environment(dict(os.environ), home, address, port))
    except SettingsError as problem:
        raise click.ClickException(str(problem)) from problem
    if os.environ.get("FLOWER_BASIC_AUTH") == "":
        del os.environ["FLOWER_BASIC_AUTH"]

    # Late: only this command needs Celery's command line and tornado.
    import flower.options  # noqa: F401 - defines the options
    from celery.bin.celery import celery
    from tornado.options import options

    options.format_task = format_task
    sys.argv = ["celery", "flower"]  # Flower parses it once more
    celery.main(args=["-A", "mindbot_tasks", "flower"], prog_name="celery")
