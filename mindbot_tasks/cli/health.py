"""`mindbot health`: one question, exit code 0 or 1; for the health checks of containers and supervisors."""

from __future__ import annotations

import http.client
import os
import sys

import click

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.stores.database import one_statement
from mindbot_tasks.stores.health import snapshot


@click.group()
def health() -> None:
    """Is this part of MindBot well? Exit code 0: yes, 1: no, with the reason."""


@health.command()
@click.option("--queue", "queues", multiple=True, required=True, help="A queue that must be consumed; may be repeated.")
@click.option("--max-age", "max_age_s", default=60.0, show_default=True, help="Seconds since a task came through.")
@told_plainly
def worker(queues: tuple[str, ...], max_age_s: float) -> None:
    """Do tasks come through these queues? (A process that answers a ping may still have stopped consuming.)"""
    with one_statement() as connection:
        ages = snapshot(connection).canary_age_s
    stuck = [queue for queue in queues if ages.get(queue, float("inf")) > max_age_s]
    for queue in stuck:
        age_s = ages.get(queue)
        told = "nothing ever came through" if age_s is None else f"nothing came through for {age_s:.0f} s"
        click.echo(f"queue {queue}: {told}", err=True)
    sys.exit(1 if stuck else 0)


@health.command()
@click.option("--port", envvar="PORT", type=int, help="Default: PORT, else the configured one.")
@click.option("--path", default="/readyz", show_default=True)
@told_plainly
def web(port: int | None, path: str) -> None:
    """Does the web process of this machine say that it is ready?"""
    settings = get_settings()
    host = os.environ.get("MINDBOT_HOST") or settings.web.host
    connection = http.client.HTTPConnection(
        "127.0.0.1" if host in ("0.0.0.0", "::", "") else host, port or settings.web.port, timeout=5
    )
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as problem:
        click.echo(f"no answer: {problem}", err=True)
        sys.exit(1)
    finally:
        connection.close()
    if status != 200:
        click.echo(f"{path} answers {status}", err=True)
    sys.exit(0 if status == 200 else 1)
