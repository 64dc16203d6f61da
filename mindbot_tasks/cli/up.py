"""`mindbot up`: everything that one machine needs, started in order, kept alive, stopped in order."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import click
from dotenv import dotenv_values
from rich.console import Console
from rich.table import Table

from mindbot_tasks.cli.supervision import banner, environment, redis_server, roles
from mindbot_tasks.cli.supervision.child import Spec
from mindbot_tasks.cli.supervision.instance import (
    CannotStart,
    InstanceLock,
    flower_credentials,
    free_port,
    make_home,
    require_port,
    secret_from,
    why_not_bindable,
)
from mindbot_tasks.cli.supervision.lines import Lines
from mindbot_tasks.cli.supervision.supervisor import OURSELVES, Supervisor, stop_steps
from mindbot_tasks.cli.supervision.words import Words
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.words import lang_of

REDIS = "redis"
REDIS_READY_S = 60.0  # a large append-only file is read before the first answer
FLOWER_PORT = 5555


@dataclass(frozen=True)
class Choices:
    """What the command line and the environment say."""

    procfile: Path
    only: tuple[str, ...]
    quiet: bool
    host: str
    port: int
    flower_port: int


@click.command()
@click.option("--port", type=int, help="Where the web process listens; default: PORT, else 8000.")
@click.option("--only", default="", metavar="ROLE,...", help="Start only these roles of the Procfile.")
@click.option("--plan", is_flag=True, help="Show which roles would be started and why, and end.")
@click.option("--quiet", is_flag=True, help="Do not show the output of the processes unless one dies.")
@click.option("--procfile", type=click.Path(path_type=Path), help="Another Procfile.")
def up(port: int | None, only: str, plan: bool, quiet: bool, procfile: Path | None) -> None:
    """Start MindBot on this machine: Redis, database, web, workers, beat, Flower. Ctrl-C ends it."""
    load_dotenv()
    words = Words(lang_of())
    try:
        settings = get_settings()
        words = Words(lang_of(settings.language))
        asked = tuple(role.strip() for role in only.split(",") if role.strip())
        host = os.environ.get("MINDBOT_HOST") or settings.web.host
        web_port = chosen_port(port, "PORT", settings.web.port, words)
        choices = Choices(procfile or find_procfile(), asked, quiet, host, web_port, 0)
        commands = roles.read_procfile(choices.procfile, words)
        planned = roles.plan(commands, settings, words, only=asked)
        if plan:
            show_plan(planned, words)
            return
        starts = {line.role for line in planned if line.starts}
        if "web" in starts:
            require_port(host, web_port, words)
        choices = replace(choices, flower_port=port_for_flower(words) if "flower" in starts else FLOWER_PORT)
        home = settings.home.resolve()
        with InstanceLock(home, words):
            code = run(choices, settings, commands, planned, home, words)
    except (CannotStart, SettingsError) as problem:
        click.echo(f"mindbot up: {problem}", err=True)
        sys.exit(1)
    except PermissionError as problem:
        click.echo(f"mindbot up: {words('home_unusable', home=problem.filename, why=problem.strerror)}", err=True)
        sys.exit(1)
    sys.exit(code)


def load_dotenv() -> None:
    """Take over what `.env` says; the environment itself wins. The lines of the Procfile see it, too."""
    for name, value in dotenv_values(".env").items():
        if value is not None:
            os.environ.setdefault(name, value)


def find_procfile() -> Path:
    """The Procfile of the working directory, else the one beside our packages."""
    here = Path.cwd() / "Procfile"
    return here if here.exists() else Path(__file__).resolve().parents[2] / "Procfile"


def chosen_port(option: int | None, variable: str, default: int, words: Words) -> int:
    """The port from the command line, the environment or the settings. Raises CannotStart."""
    if option is not None:
        return option
    value = os.environ.get(variable) or str(default)
    if not value.isascii() or not value.isdigit() or not 0 < int(value) < 65536:
        raise CannotStart(words("port_unreadable", value=value))
    return int(value)


def port_for_flower(words: Words) -> int:
    """FLOWER_PORT, which must be free; without it 5555 or the next free one."""
    if os.environ.get("FLOWER_PORT"):
        port = chosen_port(None, "FLOWER_PORT", FLOWER_PORT, words)
        require_port("127.0.0.1", port, words)
        return port
    return FLOWER_PORT if why_not_bindable("127.0.0.1", FLOWER_PORT) is None else free_port(first=FLOWER_PORT + 1)


def show_plan(planned: list[roles.Planned], words: Words) -> None:
    table = Table(words("plan_role"), words("plan_starts"), words("plan_reason"))
    for line in planned:
        table.add_row(line.role, words("yes" if line.starts else "no"), line.reason)
    Console().print(table)


def run(
    choices: Choices,
    settings: Settings,
    commands: dict[str, str],
    planned: list[roles.Planned],
    home: Path,
    words: Words,
) -> int:
    """Start, supervise, stop; returns the exit code. Raises CannotStart."""
    make_home(home, words)
    flower_credentials(home)
    external = external_redis(settings, home)
    redis = None
    if external is not None:
        if why := redis_server.why_silent(external):
            raise CannotStart(words("redis_unreachable", url=redis_server.without_password(external), why=why))
    else:
        redis = redis_server.EmbeddedRedis(home, redis_server.find_binary(words), words)
        redis.prepare()
    child_environment = environment.for_children(
        os.environ,
        home=home,
        port=choices.port,
        host=choices.host,
        redis_url=external or (redis.url if redis else ""),
        database_url=settings.database_url.get_secret_value(),
        secret_key=settings.secret_key.get_secret_value() or secret_from(home / "secret.key"),
        flower_port=choices.flower_port,
    )
    lines = Lines([OURSELVES, REDIS, *commands], quiet=choices.quiet)
    supervisor = Supervisor(lines, words, steps=stop_steps(settings.times.guard_s))
    readiness: banner.Readiness | None = None
    with supervisor.signals():
        try:
            if redis is not None:
                start_redis(supervisor, redis)
            if prepare_database(supervisor, commands.get(roles.RELEASE), child_environment):
                for line in planned:
                    if line.starts:
                        supervisor.start(
                            Spec(line.role, roles.shell(line.command), {**child_environment, "MINDBOT_ROLE": line.role})
                        )
                readiness = announce(choices, settings, planned, home, lines, words)
                supervisor.run_until(lambda: False)
        finally:
            if readiness is not None:
                readiness.stopped.set()
            wind_down(supervisor, drain_s=settings.times.drain_s)
            if redis is not None:
                redis.clear()
    return 0


def external_redis(settings: Settings, home: Path) -> str | None:
    """The address of somebody else's Redis, if one is configured.

    The settings also know the address that a former run left behind when it was killed; as we hold the lock, nobody
    listens there any more.
    """
    if "redis_url" not in settings.model_fields_set:
        return None
    url = settings.redis_url.get_secret_value()
    left_behind = home / "run" / "redis.url"
    if left_behind.exists() and left_behind.read_text(encoding="utf-8").strip() == url:
        return None
    return url


def start_redis(supervisor: Supervisor, redis: redis_server.EmbeddedRedis) -> None:
    """Raises CannotStart if the server does not answer; a stop meanwhile is no error."""
    # When we are killed, a TERM lets it save; the others lose nothing, what they do is in the database.
    child = supervisor.start(
        Spec(REDIS, redis.argv, os.environ, when_orphaned=signal.SIGTERM, inherited=redis.inherited)
    )
    ready = supervisor.run_until(lambda: child.failures > 0 or redis.is_ready(), timeout_s=REDIS_READY_S)
    if supervisor.stopping:
        return
    if not ready or child.failures:
        why = child.last_lines[-1] if child.last_lines else f"no answer within {REDIS_READY_S:g} s"
        raise CannotStart(supervisor.words("redis_failed", why=why))
    supervisor.lines.say(
        REDIS,
        supervisor.words("embedded_redis", version=redis.binary.version, port=redis.port, data=redis.data),
    )


def prepare_database(supervisor: Supervisor, command: str | None, child_environment: dict[str, str]) -> bool:
    """Run the release line; True if the processes may start. Raises CannotStart."""
    if command is None or supervisor.stopping:
        return not supervisor.stopping
    code = supervisor.run_once(Spec(roles.RELEASE, roles.shell(command), child_environment))
    if code is None:
        return False
    if code != 0:
        raise CannotStart(supervisor.words("release_failed", code=code, command=command))
    return True


def announce(
    choices: Choices, settings: Settings, planned: list[roles.Planned], home: Path, lines: Lines, words: Words
) -> banner.Readiness | None:
    """Print the banner once MindBot is ready; at once when there is no web process to ask."""
    text = banner.banner(
        words=words,
        settings=settings,
        plan=planned,
        host=choices.host,
        port=choices.port,
        flower_port=choices.flower_port,
        home=home,
        config=settings.read_from,
    )
    if not any(line.starts and line.role == "web" for line in planned):
        lines.plain(text)
        return None
    watcher = banner.Readiness(banner.reachable(choices.host), choices.port, lines, words, lambda: lines.plain(text))
    watcher.start()
    return watcher


def wind_down(supervisor: Supervisor, *, drain_s: float) -> None:
    """Stop everything and say how long it took."""
    if supervisor.children:
        began_at = time.monotonic()
        if supervisor.stopping:
            supervisor.lines.say(OURSELVES, supervisor.words("stopping", drain=drain_s))
        supervisor.stop()
        supervisor.lines.say(OURSELVES, supervisor.words("stopped", seconds=time.monotonic() - began_at))
