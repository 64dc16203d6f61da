"""Ports of single bots: only their doors are open there, however much else this process serves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mindbot_tasks.core.settings.listeners import Listener

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class OwnPorts:
    """WSGI middleware; the port is the socket's, which no header changes."""

    def __init__(self, app: WSGIApplication, listeners: Sequence[Listener]) -> None:
        self._app = app
        self._paths = {str(listener.port): listener.paths for listener in listeners}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        paths = self._paths.get(environ.get("SERVER_PORT", ""))
        if paths is None or environ.get("PATH_INFO") in paths:
            return self._app(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []
