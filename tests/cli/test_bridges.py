"""Which processes a configuration needs, and `mindbot bridges`, which keeps those alive that hold connections."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mindbot_tasks.cli import bridges
from mindbot_tasks.cli.supervision import roles
from mindbot_tasks.cli.supervision.words import Words
from mindbot_tasks.core.settings import AimSettings, DingTalkSettings, Settings, WeComSettings

ROOT = Path(__file__).resolve().parents[2]
AIM = AimSettings(username="bot", password="x", server="127.0.0.1")
STREAM = DingTalkSettings(client_id="a", client_secret="b", mode="stream")
HTTP = DingTalkSettings(client_id="a", client_secret="b")
WECOM = WeComSettings(corpid="a", secret="b", token="c", encoding_aes_key="d" * 43)
ALWAYS = {"web", "worker_fast", "worker_generate", "worker_alerts", "beat", "flower"}


def started(**sections: Any) -> dict[str, str]:
    """The roles that `mindbot up` would start, with the reason of each."""
    commands = roles.read_procfile(ROOT / "Procfile", Words("en"))
    planned = roles.plan(commands, Settings(**sections), Words("en"))
    return {line.role: line.reason for line in planned if line.starts}


@pytest.fixture(autouse=True)
def _all_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever bridges this version has."""
    monkeypatch.setattr(bridges, "MODULES", dict.fromkeys(("dingtalk", "aim"), "mindbot_tasks.bridges.dingtalk"))


@pytest.mark.parametrize("sections", [{}, {"wecom": {"default": WECOM}}, {"dingtalk": {"default": HTTP}}])
def test_what_comes_by_webhook_needs_no_bridges(sections: dict[str, Any]) -> None:
    assert set(started(**sections)) == ALWAYS


@pytest.mark.parametrize(
    ("sections", "names"),
    [
        ({"aim": {"default": AIM}}, "aim:default"),
        ({"dingtalk": {"default": STREAM}}, "dingtalk:default"),
        (
            {"dingtalk": {"sales": STREAM, "it": HTTP}, "wecom": {"default": WECOM}, "aim": {"old": AIM}},
            "dingtalk:sales, aim:old",
        ),
    ],
)
def test_whoever_needs_a_connection_gets_the_role_that_holds_it(sections: dict[str, Any], names: str) -> None:
    found = started(**sections)
    assert set(found) == {*ALWAYS, "bridges"}
    assert found["bridges"] == f"configured: {names}"


def test_each_connection_is_a_process_of_its_own_with_the_name_of_its_bot() -> None:
    first, second = bridges.specs(["dingtalk:sales", "dingtalk:it"], {"PATH": "/bin"})
    assert first.argv[1:] == ["-m", "mindbot_tasks.bridges.dingtalk", "sales"]
    assert (first.role, second.argv[-1]) == ("dingtalk:sales", "it")
    assert first.environment["MINDBOT_ROLE"] == "bridges"
    assert first.environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


HOLD = """\
import os, sys
from mindbot_tasks.cli.bridges import hold
from mindbot_tasks.cli.supervision.child import Spec
from mindbot_tasks.core import log
log.configure("bridges")
code = "import json, os, time; print(json.dumps({'pid': os.getpid(), 'name': os.environ['NAME']}), flush=True)"
code += "; time.sleep(600)"
hold([Spec(name, [sys.executable, "-c", code], {**os.environ, "NAME": name}) for name in ("one", "two")])
"""


class Supervised:
    def __init__(self, output: Path) -> None:
        self._output = output
        self._file = output.open("wb")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MINDBOT_HOME": str(output.parent)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD], stdout=self._file, stderr=subprocess.STDOUT, env=environment,
            cwd=output.parent,
        )  # fmt: skip

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._output.read_text().splitlines()]

    def pids(self, name: str) -> list[int]:
        return [line["pid"] for line in self.lines() if line.get("name") == name]

    def until(self, true: Callable[[], bool]) -> None:
        ends_at = time.monotonic() + 60
        while not true():
            assert time.monotonic() < ends_at, self._output.read_text()
            time.sleep(0.05)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)
        self._file.close()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    it = Supervised(tmp_path / "output.txt")
    yield it
    it.close()


def test_a_bridge_that_dies_is_started_again_and_the_others_stay(supervised: Supervised) -> None:
    supervised.until(lambda: bool(supervised.pids("one") and supervised.pids("two")))
    os.kill(supervised.pids("one")[0], signal.SIGKILL)
    supervised.until(lambda: len(supervised.pids("one")) == 2)
    assert len(supervised.pids("two")) == 1
    died = [line for line in supervised.lines() if "SIGKILL" in line.get("what", "")]
    assert (died[0]["bridge"], died[0]["level"]) == ("one", "warning"), "every line is JSON, ours and theirs"

    supervised.process.terminate()
    assert supervised.process.wait(60) == 0
    for pid in (supervised.pids("one")[-1], supervised.pids("two")[0]):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
