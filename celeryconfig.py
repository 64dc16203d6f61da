"""Celery's configuration: broker, serialisation, queues and routes. Why each value is what it is: docs/engine.md."""

from __future__ import annotations

from kombu import Queue

from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.platforms.queues import own_queues

_settings = get_settings()
_times = _settings.times

broker_url = _settings.broker_url.get_secret_value() or _settings.redis_url.get_secret_value()
if broker_url.startswith("unix://"):  # as redis-py writes it; kombu has another way
    broker_url = broker_url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=", 1)
if broker_url.startswith(("redis://", "redis+socket://")):
    broker_transport = "mindbot_tasks.broker:Transport"
broker_transport_options = {
    # no second book-keeping in Redis of what was fetched: it cost a third of a task, and what a killed worker had is
    # in the ledger, whose sweeper is there long before a visibility timeout (docs/decisions/0005-no-unacked-list.md)
    "ack_emulation": False,
    "visibility_timeout": _times.visibility_s,
    "socket_connect_timeout": 3,
    "socket_timeout": 15,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "global_keyprefix": "mindbot:",
    # one list for each queue instead of four: nothing here uses priorities
    "priority_steps": [0],
    "sep": ":",
    "queue_order_strategy": "round_robin",
}
broker_connection_retry_on_startup = True
broker_connection_timeout = 3
broker_connection_max_retries = None  # however long the broker is away: the ledger keeps what comes in meanwhile
# the ledger is the queue of record: a publish that does not work at once is left to the sweeper
task_publish_retry_policy = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}

# JSON only; results are not kept anywhere, the ledger holds them
task_serializer = "json"
result_serializer = "json"
event_serializer = "json"
accept_content = ["json"]
result_accept_content = ["json"]
task_ignore_result = True
enable_utc = True
timezone = "UTC"

task_acks_late = True
task_reject_on_worker_lost = True
task_acks_on_failure = True
task_acks_on_timeout = True
worker_prefetch_multiplier = 1
worker_eta_task_limit = 200
worker_cancel_long_running_tasks_on_connection_loss = False  # the claim in the ledger decides, not the connection
worker_soft_shutdown_timeout = 0.0  # threads ignore it; see mindbot_tasks/presence.py
worker_max_tasks_per_child = 1000
worker_proc_alive_timeout = 10
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# what makes Flower useful
worker_send_task_events = True
task_send_sent_event = True
task_track_started = False

QUEUES = ("collect", "classify", "generate", "agent", "reply", "ingest", "alerts", "upkeep")
# and one for the replies of each bot that only the process with its connection can send
task_queues = [Queue(name, routing_key=name) for name in (*QUEUES, *own_queues(_settings))]
task_create_missing_queues = False
task_default_queue = "upkeep"
task_routes = {
    "mindbot.collect": {"queue": "collect"},
    "mindbot.classify": {"queue": "classify"},
    "mindbot.generate": {"queue": "generate"},
    "mindbot.reply": {"queue": "reply"},
    "mindbot.apologise": {"queue": "reply"},
    "mindbot.probe": {"queue": "alerts"},
    "mindbot.judge": {"queue": "alerts"},
    "mindbot.escalate": {"queue": "alerts"},
    "mindbot.notify": {"queue": "alerts"},
    "mindbot.sweep": {"queue": "upkeep"},
    "mindbot.purge": {"queue": "upkeep"},
    "mindbot.summarise": {"queue": "generate"},  # it waits for a model
    "mindbot.tally": {"queue": "upkeep"},
    "mindbot.learn": {"queue": "upkeep"},
    "mindbot.tend": {"queue": "upkeep"},
    "mindbot.ingest": {"queue": "ingest"},
    "mindbot.alone": {"queue": "generate"},  # each is sent to the queue of its stage
    "mindbot.canary": {"queue": "upkeep"},  # the canaries themselves fly through a queue named when they are sent
}
imports = (
    "mindbot_tasks.collect",
    "mindbot_tasks.classify",
    "mindbot_tasks.generate",
    "mindbot_tasks.reply",
    "mindbot_tasks.apologise",
    "mindbot_tasks.probe",
    "mindbot_tasks.judge",
    "mindbot_tasks.escalate",
    "mindbot_tasks.notify",
    "mindbot_tasks.sweep",
    "mindbot_tasks.purge",
    "mindbot_tasks.summarise",
    "mindbot_tasks.tally",
    "mindbot_tasks.learn",
    "mindbot_tasks.tend",
    "mindbot_tasks.ingest",
    "mindbot_tasks.alone",
    "mindbot_tasks.canary",
    "mindbot_tasks.exporting.workers",
)

beat_scheduler = "celery.beat:PersistentScheduler"
beat_max_loop_interval = 5
