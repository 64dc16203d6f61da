"""How gunicorn serves the doors: threads, quick acknowledgements, a short goodbye."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from prometheus_client import multiprocess

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings.listeners import listeners
from mindbot_tasks.core.settings.load import load


def _addresses() -> list[str]:
    """Where the web side listens, then the ports that single bots have for themselves."""
    host = os.environ.get("MINDBOT_HOST") or "127.0.0.1"
    port = int(os.environ.get("PORT") or 8000)
    found = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    with contextlib.suppress(SettingsError):  # the application says what is wrong, as soon as it is loaded
        # read anew at each reload: what is kept here would be inherited by new workers
        found += [listener.address for listener in listeners(load(), web_port=port)]
    return found


bind = _addresses()
worker_class = "webhooks.gunicorn_worker.Worker"  # gthread, with an end to slow callers
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = int(os.environ.get("WEB_THREADS") or 16)  # a page that watches an answer holds one
backlog = 512
keepalive = 20  # seconds; longer than a reverse proxy leaves a connection idle between two webhooks
timeout = 30  # seconds without a sign of life from a worker, not the time for one request
graceful_timeout = 3  # seconds; pages that watch an answer connect again by themselves
max_requests = 100_000
max_requests_jitter = 10_000
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108 - a heartbeat must not wait for a disk
limit_request_line = 8190
accesslog = None  # the doors log for themselves: a query string may hold a signature
errorlog = "-"
loglevel = (os.environ.get("GUNICORN_LOG_LEVEL") or "warning").lower()
control_socket_disable = True
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS") or "127.0.0.1,::1"
proc_name = "mindbot-web"


def post_worker_init(worker: Any) -> None:
    """Everything is loaded now."""
    from mindbot_tasks.core import cycles, telemetry  # not above: the arbiter loads nothing of ours
    from mindbot_tasks.core.settings import get_settings
    from mindbot_tasks.exporting import pushing

    pushing.begin()
    telemetry.start(get_settings(), "web")
    cycles.settle()


def worker_exit(server: Any, worker: Any) -> None:
    """The last requests are over."""
    from mindbot_tasks.core import telemetry

    telemetry.stop()


def child_exit(server: Any, worker: Any) -> None:
    """The gauges of a worker that has gone must not stay in /metrics."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
