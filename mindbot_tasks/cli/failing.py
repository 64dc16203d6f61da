"""How a command fails: one clear sentence and exit code 1, never a traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from mindbot_tasks.core.errors import MindBotError

P = ParamSpec("P")
R = TypeVar("R")


def told_plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our own errors into a sentence on standard error and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except MindBotError as exc:
            click.echo(f"mindbot: {exc}", err=True)
            sys.exit(1)

    return run
