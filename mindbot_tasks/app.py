"""The Celery application and its signals."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

from celery import signals
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from kombu.exceptions import OperationalError

from beat_schedule import BEAT_SCHEDULE
from mindbot_tasks import broker, presence
from mindbot_tasks.core import cycles, log, shutdown, telemetry
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.settings.at_rest import has_work
from mindbot_tasks.publishing import MindBot
from mindbot_tasks.stores import spending
from mindbot_tasks.stores.database import forget_engine, only_advance

# as root Celery prints a page at every start; `mindbot doctor` and the deployment page say it once and better
warnings.filterwarnings("ignore", category=SecurityWarning)

broker.use_orjson()
app = MindBot("mindbot", events="mindbot_tasks.events:Events")
app.config_from_object("celeryconfig")
app.conf.beat_schedule = {name: entry for name, entry in BEAT_SCHEDULE.items() if has_work(name, get_settings())}


def only_publish() -> None:
    """This process never consumes: it gives up on a broker within a second, for the ledger keeps the message."""
    app.conf.task_publish_retry = False
    app.conf.task_send_sent_event = False  # what it tells Flower a worker says soon after, for less
    app.conf.broker_transport_options = {
        **app.conf.broker_transport_options,
        "socket_connect_timeout": 0.5,
        "socket_timeout": 0.5,
        # without a retry of the publishing kombu still takes six seconds over the retries of connecting
        "max_retries": 0,
    }


@signals.setup_logging.connect
def _log(**_: Any) -> None:
    """Our own logging, in place of Celery's."""
    log.configure(os.environ.get("MINDBOT_ROLE", "celery"))
    for chatty in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
        # a line or two for each task, which our own lines and Flower tell better; `LOG_LEVEL=DEBUG` brings them back
        logging.getLogger(chatty).setLevel(logging.WARNING if get_settings().log_level != "DEBUG" else logging.DEBUG)


@signals.celeryd_after_setup.connect
def _introduce(instance: Any = None, **_: Any) -> None:
    """Which queues this worker serves is known now."""
    # `worker_cancel_long_running_tasks_on_connection_loss` is off on purpose, and Celery would warn of that at every
    # loss; not earlier, since the worker sets filters of its own
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    only_advance()
    telemetry.start(get_settings(), "worker")
    presence.configure(
        sorted(instance.app.amqp.queues.consume_from),
        on_sweep_overdue=_without_beat,
        on_death=lambda: app.tasks["mindbot.sweep"].run(at_once=True),
    )


def _without_beat() -> None:
    """Beat is missing: messages are swept here, and alerts go on."""
    app.tasks["mindbot.sweep"].run()
    try:
        for name in ("probe", "judge", "escalate"):
            if has_work(name, get_settings()):
                app.send_task(f"mindbot.{name}", queue="alerts", expires=10)
    except (OperationalError, OSError):
        return  # the broker is away as well: of that the watchdog speaks


@signals.worker_ready.connect
def _show_up(sender: Any = None, **_: Any) -> None:
    """Be seen, and let a canary fly through each of our queues, so that readiness need not wait for beat."""
    presence.get_presence().show_up()
    cycles.settle()
    for queue in sender.app.amqp.queues.consume_from:
        app.send_task("mindbot.canary", args=(queue, 0), queue=queue, expires=30)


@signals.worker_process_init.connect
def _after_fork(**_: Any) -> None:
    """A pool child has connections and a presence of its own."""
    forget_engine()
    presence.forget_presence()
    shutdown.forget()
    cycles.settle()


@signals.worker_shutting_down.connect
def _drain(**_: Any) -> None:
    """Running work may finish for a while, then gives up in good order; a guard ends the process if even that hangs."""
    shutdown.begin(get_settings().times.drain_s)
    presence.guard()


@signals.worker_shutdown.connect
@signals.worker_process_shutdown.connect
def _leave(**_: Any) -> None:
    """Nothing that this process held needs to wait for its silence to be noticed."""
    spending.flush()
    presence.stop()
    telemetry.stop()
