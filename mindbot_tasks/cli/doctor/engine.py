"""Database, Redis and workers: what every message needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis
from alembic.runtime.migration import MigrationContext
from kombu import Connection as BrokerConnection
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy import Connection, make_url, text

from mindbot_tasks.cli.doctor.finding import Finding, fail, ok, warn
from mindbot_tasks.cli.supervision.redis_server import OLDEST, without_password
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.settings.load import REDIS_URL_FILE
from mindbot_tasks.core.words import Sentence
from mindbot_tasks.platforms.condition import Condition, conditions
from mindbot_tasks.platforms.registry import DEFAULT_BOT
from mindbot_tasks.stores import health
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.migrate import head

FEW_FREE_BYTES = 500_000_000
SCARCE_FREE_BYTES = 50_000_000
SCARCE_MEMORY, FULL_MEMORY = 0.7, 0.95  #: of Redis's maxmemory; a full one takes no more wake-ups
#: the queues that every message goes through, and the one that mends
NEEDED = ("classify", "generate", "reply", "upkeep")
#: as /readyz judges them
CANARY_LIMIT_S = 35.0
SWEEP_LIMIT_S = 30.0
UNSTARTED_LIMIT_S = 60.0


def look_at_process() -> Iterator[Finding]:
    """Who we are."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        yield warn("user", "is_root", "not_root")


def look_at_settings(settings: Settings) -> Iterator[Finding]:
    """What loading them has found; loading has also checked that the times nest."""
    files = ", ".join(map(str, settings.read_from))
    yield ok("settings", "settings", files=files) if files else ok("settings", "settings_default")
    for problem in settings.warnings:
        fields = {"where": problem.place, "path": problem.path or "-", "problem": problem.what}
        yield warn("settings", "setting_doubtful", "config_check", **fields)
    times = settings.times
    yield ok("times", "times_nest", webhook=f"{times.webhook_s:g}", answer=f"{times.answer_s:g}",
             lease=f"{times.lease_s:g}", visibility=f"{times.visibility_s:g}",
             deadline=f"{times.message_deadline_s:g}")  # fmt: skip


def look_at_database(settings: Settings) -> Iterator[Finding]:
    """Reachable, of this version's schema, and as durable as the promise needs."""
    url = make_url(settings.database_url.get_secret_value())
    sqlite_file = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
    if sqlite_file is not None and not sqlite_file.exists():
        yield fail("database", "database_missing", "upgrade", where=sqlite_file)
        return
    try:
        with reading() as connection:
            yield from _connected(connection, sqlite_file)
    except DatabaseUnavailable as exc:
        shown = url.render_as_string(hide_password=True)
        yield fail("database", "database_away", "start_database", where=shown, why=exc)


def _connected(connection: Connection, sqlite_file: Path | None) -> Iterator[Finding]:
    found, wanted = MigrationContext.configure(connection).get_current_revision(), head()
    if found != wanted:
        yield fail("database", "revision_differs", "upgrade", found=found or "-", wanted=wanted, where="")
    else:
        yield ok("database", "database_fine", dialect=connection.dialect.name, revision=found)
    if sqlite_file is not None:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
        if mode != "wal":
            yield fail("database", "no_wal", "why_no_wal", mode=mode)
        yield from _disk(sqlite_file.resolve().parent)
        return
    commit = connection.execute(text("SHOW synchronous_commit")).scalar_one()
    if commit in ("off", "local"):
        level = fail if commit == "off" else warn
        yield level("database", "commit_not_synchronous", "set_synchronous", value=commit)


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    free_mb = free // 1_000_000
    if free < SCARCE_FREE_BYTES:
        yield fail("disk", "disk_full", "free_disk", folder=folder, free=free_mb)
    elif free < FEW_FREE_BYTES:
        yield warn("disk", "disk_full", "free_disk", folder=folder, free=free_mb)
    else:
        yield ok("disk", "disk_fine", folder=folder, free=free_mb)


def is_asleep(settings: Settings) -> bool:
    """Nobody configured a Redis, and `mindbot up` is not there to run its own."""
    return "redis_url" not in settings.model_fields_set and not (settings.home / REDIS_URL_FILE).exists()


def look_at_redis(settings: Settings) -> Iterator[Finding]:
    """Reachable, new enough, and not allowed to forget."""
    if is_asleep(settings):
        yield warn("redis", "redis_asleep", "start_mindbot", home=settings.home)
        return
    url = settings.redis_url.get_secret_value()
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3, decode_responses=True) as client:
            info = dict(client.info())
    except (redis.RedisError, OSError) as exc:
        # the library's words may repeat the address, and with it the password
        yield fail("redis", "redis_away", "start_redis", where=without_password(url), why=type(exc).__name__)
        return
    yield from judge_redis(info)
    broker = settings.broker_url.get_secret_value()
    if broker:
        yield from _broker(broker)


def judge_redis(info: dict[str, object]) -> Iterator[Finding]:
    """What INFO says. Pure."""
    version = str(info.get("redis_version", "0"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts < OLDEST:
        yield fail("redis", "redis_old", "upgrade_redis", version=version, oldest=".".join(map(str, OLDEST)))
    else:
        yield ok("redis", "redis_fine", version=version)
    if not int(str(info.get("aof_enabled", 0))):
        yield warn("redis", "no_append_only", "set_append_only")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield fail("redis", "redis_evicts", "set_noeviction", policy=policy)
    most = int(str(info.get("maxmemory", 0)))
    used = int(str(info.get("used_memory", 0))) / most if most else 0.0
    if used >= SCARCE_MEMORY:
        level = fail if used >= FULL_MEMORY else warn
        yield level("redis", "redis_fills", "give_redis_memory", used=f"{used:.0%}")
    if info.get("aof_last_write_status", "ok") != "ok":
        yield fail("redis", "redis_cannot_write", "free_redis_disk")


def _broker(url: str) -> Iterator[Finding]:
    shown = without_password(url)
    try:
        with BrokerConnection(url, connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except (OSError, BrokerError, redis.RedisError) as exc:
        yield fail("broker", "broker_away", "start_broker", where=shown, why=type(exc).__name__)
    else:
        yield ok("broker", "broker_fine", where=shown)


def look_at_workers(settings: Settings) -> Iterator[Finding]:
    """Somebody serves every queue, tasks come through, and somebody sweeps."""
    try:
        with reading() as connection:
            seen = health.snapshot(connection)
    except DatabaseUnavailable as exc:
        yield fail("workers", "workers_unknown", "start_database", why=exc, where="")
        return
    if is_asleep(settings):
        yield warn("workers", "not_running", "start_mindbot", home=settings.home)
        return
    yield from judge_workers(seen, needed=(*NEEDED, "agent") if settings.runs_agent else NEEDED)


def judge_workers(seen: health.HealthSnapshot, *, needed: Sequence[str] = NEEDED) -> Iterator[Finding]:
    """What a snapshot of the ledger means; `needed` are the queues that must be served. Pure."""
    for queue in (*needed, *sorted(seen.served - set(needed))):
        age_s = seen.canary_age_s.get(queue)
        if queue not in seen.served:
            yield fail(f"queue {queue}", "queue_unserved", "start_worker", queue=queue)
        elif age_s is None or age_s > CANARY_LIMIT_S:
            age = "-" if age_s is None else f"{age_s:.0f}"
            yield fail(f"queue {queue}", "queue_stuck", "restart_worker", queue=queue, age=age)
        else:
            yield ok(f"queue {queue}", "queue_fine", age=f"{max(age_s, 0):.0f}")
    if seen.sweep_age_s is None or seen.sweep_age_s > SWEEP_LIMIT_S:
        age = "-" if seen.sweep_age_s is None else f"{seen.sweep_age_s:.0f}"
        yield fail("sweeper", "nobody_sweeps", "start_beat", age=age)
    else:
        yield ok("sweeper", "sweeper_fine", age=f"{max(seen.sweep_age_s, 0):.0f}")
    if seen.oldest_unstarted_s is not None and seen.oldest_unstarted_s > UNSTARTED_LIMIT_S:
        yield fail("messages", "message_waits", "tune", age=f"{seen.oldest_unstarted_s:.0f}")


def look_at_bots(settings: Settings) -> Iterator[Finding]:
    """How each bot is: its connection, its access token, when it last heard and said something."""
    if not is_asleep(settings):
        for one in conditions(settings):
            yield judge_bot(one)


def judge_bot(one: Condition) -> Finding:
    """What the condition of a bot means. Pure."""
    what = f"bot {one.platform}" + ("" if one.bot == DEFAULT_BOT else f".{one.bot}")
    detail = one.connection_detail or "-"
    if one.connection == "no_data":
        return fail(what, "bot_unheld", "start_bridges")
    if one.connection not in ("online", "not_needed"):
        level = warn if one.connection == "connecting" else fail
        since = f"{one.connection_since_s or 0:.0f}"
        return level(what, "bot_off_line", "see_bridges_log", state=one.connection, since=since, detail=detail)
    if one.token == "refused":  # noqa: S105 - a word for its state
        return fail(what, "bot_token_refused", "check_credentials")
    state = (
        Sentence("doctor.bot_connected", detail=detail)
        if one.connection == "online"
        else Sentence("doctor.bot_reached_by_webhook")
    )
    return ok(what, "bot_fine", state=state, inbound=_ago(one.last_inbound_s), outbound=_ago(one.last_outbound_s))


def _ago(age_s: float | None) -> Sentence:
    return Sentence("doctor.never") if age_s is None else Sentence("doctor.ago", seconds=f"{age_s:.0f}")
