"""How a command fails: one clear sentence and exit code 1, never a traceback."""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TextIO, TypeVar

import click

from mindbot_tasks.core.errors import DatabaseUnavailable, MindBotError, OtherTables
from mindbot_tasks.core.words import lang_of, say

P = ParamSpec("P")
R = TypeVar("R")

_DISK = (errno.ENOSPC, errno.EDQUOT)


def told_plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our own errors, and those of files and disks, into a sentence on standard error and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except OtherTables:
            _end(say("cli.other_tables", lang_of()))
        except DatabaseUnavailable as exc:
            _end(say("cli.database_away", lang_of(), why=exc))
        except MindBotError as exc:
            _end(str(exc))
        except OSError as exc:
            # a pipe whose reader left is click's; a bug in a socket keeps its traceback
            if exc.filename is None and exc.errno not in _DISK:
                raise
            _end(f"{exc.filename}: {exc.strerror}" if exc.filename is not None else str(exc.strerror))

    return run


def _end(sentence: str) -> NoReturn:
    try:
        click.echo(f"mindbot: {sentence}", err=True)
    except OSError:  # standard error stands on the same full disk
        _lead_to_nowhere(sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        _lead_to_nowhere(sys.stdout)
    sys.exit(1)


def _lead_to_nowhere(stream: TextIO) -> None:
    """What is still buffered cannot be written; at exit Python would try once more, and end with a traceback."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def prepare_streams() -> None:
    """Standard output and error that fail neither for a letter that they cannot show nor for having been closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller; rich and others expect a file
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  till the end
        elif not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")


def log_beside_output() -> None:
    """The first line of a log makes it a log as everywhere: on standard error, without secrets, warnings only."""
    import structlog

    if not structlog.is_configured():
        structlog.configure(logger_factory=_first_line)


def _first_line(*args: Any) -> Any:
    import structlog

    from mindbot_tasks.core import log

    log.configure("cli")
    return structlog.get_config()["logger_factory"](*args)
