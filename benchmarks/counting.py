"""Writes down every SQL statement of this process: `-I` for workers, the application for gunicorn."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import Connection, Engine, event

_fd = os.open(os.environ["BENCH_STATEMENTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_SHOWN = 100


def _write(text: str) -> None:
    os.write(_fd, (" ".join(text.split())[:_SHOWN] + "\n").encode())


@event.listens_for(Engine, "before_cursor_execute")
def _statement(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
    _write(statement)


def application(environ: Any, start_response: Any) -> Any:
    """The web application, counted."""
    from webhooks.wsgi import application as web

    return web(environ, start_response)
