"""A port with the figures of this process, for processes that have no web side near: workers in containers.

MINDBOT_METRICS_PORT switches it on. MINDBOT_METRICS_HOST is where it listens, by default everywhere, for a container
has a network of its own. Loads no Celery: the watchdog has one too.
"""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from mindbot_tasks.core import metrics
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.exporting import machine

log = structlog.get_logger(__name__)


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        text = metrics.as_text([*metrics.families(), *machine.of_machine(get_settings())])
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """A scrape is no news."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked went away."""


def begin(port: int | None = None) -> _Server | None:
    """Listen in a thread, if a port is given; a port that is taken is said, and no reason to stop."""
    given = os.environ.get("MINDBOT_METRICS_PORT", "")
    if port is None and not (given.isascii() and given.isdigit()):
        return None
    port = int(given) if port is None else port
    host = os.environ.get("MINDBOT_METRICS_HOST") or "0.0.0.0"
    try:
        server = _Server((host, port), _Handler)
    except (OSError, OverflowError) as exc:
        log.error("metrics_port_unusable", port=port, error=type(exc).__name__)
        return None
    threading.Thread(target=server.serve_forever, name="metrics port", daemon=True).start()
    return server
