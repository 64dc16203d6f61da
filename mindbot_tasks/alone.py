"""The last try of a message that may have taken two workers down: in a process of its own, so that only this can die.

The first of them starts a server of processes beside the worker (multiprocessing's "forkserver": one thread, the stages
loaded, no connection open); from then on such a process costs a fork. It claims the message, does the stage and ends.
If it dies, its worker, which lives, tells the ledger. If the worker dies, it gives the message back.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from celery import signals
from celery.exceptions import Ignore

from mindbot_tasks import presence
from mindbot_tasks.app import app
from mindbot_tasks.chat import reading
from mindbot_tasks.core import cycles, shutdown, telemetry
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.llm.agent.tools import knowledge
from mindbot_tasks.stores import database, suspects
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

ROLE = "alone"
#: such processes of one worker; with 60 s for an answer, 50 suspects have been tried in 7 minutes
AT_ONCE = 8
_places = threading.BoundedSemaphore(AT_ONCE)
_starting = threading.Lock()


@app.task(name="mindbot.alone", bind=True, base=MindBotTask)
def alone(self: MindBotTask, message_id: int, stage: str) -> None:
    """One stage of a suspect; the chain goes on if that ended well, else the row says how."""
    if shutdown.stopping() or not _places.acquire(blocking=False):
        raise Ignore  # the sweeper starts it again
    try:
        with database.reading() as connection:
            attempt = suspects.last_attempt(connection, message_id)
        if attempt is None:
            raise Ignore
        with structlog.contextvars.bound_contextvars(message_id=message_id, stage=stage):
            end = _watched(message_id, stage, (self.request.delivery_info or {}).get("routing_key") or "")
            if end.died:
                _tell(message_id, attempt + 1, presence.name_of(ROLE, end.died))
    except DatabaseUnavailable as exc:
        log.warning("database_unavailable", reason=str(exc))
        raise Ignore from None
    finally:
        _places.release()
    if not end.done:
        raise Ignore


def _tell(message_id: int, attempt: int, worker_name: str) -> None:
    with database.one_statement() as connection:
        condemned = suspects.condemn(connection, message_id, attempt, worker_name=worker_name)
    log.error("worker_died_of_a_message", condemned=condemned)


class End(NamedTuple):
    """What became of such a process."""

    done: bool  #: the stage ended well
    died: int = 0  #: the pid of a process that ended without a word


def _watched(message_id: int, stage: str, queue: str) -> End:
    """Have the stage done by a process of its own."""
    times = get_settings().times
    context = multiprocessing.get_context("forkserver")
    heard, said = context.Pipe(duplex=False)
    with heard:
        try:
            with said:
                process = _started(context, (message_id, stage, queue, said))
        except (OSError, EOFError) as exc:
            log.error("no_process_of_its_own", reason=type(exc).__name__)
            return End(False)
        until, told = time.monotonic() + times.lease_s, False
        while not heard.poll(0.5):
            if shutdown.stopping() and not told:
                told = True
                process.terminate()
            if time.monotonic() > until:
                log.error("suspect_hangs")
                process.kill()
                until += times.lease_s
        try:
            return End(bool(heard.recv()))
        except (OSError, EOFError):
            return End(False, 0 if told else process.pid)  # one that was told to end may have been ended by its guard


def _started(context: ForkServerContext, args: tuple[Any, ...]) -> Any:
    # what starts a process looks after all earlier ones, and is not made for several threads
    with _starting:
        context.set_forkserver_preload([*app.conf.imports, *app.conf.include])
        process = context.Process(target=_live, args=args, name=ROLE, daemon=True)
        process.start()
        return process


def _live(message_id: int, stage: str, queue: str, said: Connection) -> None:
    """The life of such a process."""
    gc.freeze()  # a look at what the server has loaded would make a copy of it: 14 MB become 50
    cycles.seldom()
    os.setsid()  # who ends a group of processes because its first one is gone need not end this one
    os.environ["MINDBOT_ROLE"] = ROLE
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")  # rather this one than its neighbours
    signal.signal(signal.SIGTERM, lambda *_: _stop(get_settings().times.drain_s))
    threading.Thread(target=_until_orphaned, name="orphaned", daemon=True).start()
    presence.be_alone()
    signals.setup_logging.send(sender=None)
    settings = get_settings()
    database.only_advance()
    telemetry.start(settings, "worker")
    if settings.runs_agent:
        knowledge.plug(partial(reading.search_tool, settings))
    app.loader.import_default_modules()
    app.finalize()
    result = app.tasks[f"mindbot.{stage}"].apply(args=(message_id,), routing_key=queue)
    presence.get_presence().wait_until_written(settings.times.lease_s)
    signals.worker_process_shutdown.send(sender=None)
    said.send(result.successful())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # whatever a library still has running


def _stop(drain_s: float) -> None:
    shutdown.begin(drain_s)
    presence.guard()


def _until_orphaned() -> None:
    """Its worker is gone, so nobody could tell of its death: give the message back."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        _stop(0.0)
