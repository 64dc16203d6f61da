"""Replies that only the process with the connection can send go to its queue; everything else stays where it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mindbot_tasks import chains, intake
from mindbot_tasks.core.settings import AimSettings
from mindbot_tasks.model.message import Message, Part, Stage
from mindbot_tasks.platforms.queues import own_queues, reply_queue
from tests.stages.conftest import Configure

BOT = AimSettings(username="bot", password=SecretStr("secret"), server="127.0.0.1")
ROOT = Path(__file__).resolve().parents[2]


def queues_of(signature: Any) -> list[str | None]:
    return [task.options.get("queue") for task in getattr(signature, "tasks", [signature])]


def test_only_what_speaks_to_the_asker_goes_to_the_bots_own_queue() -> None:
    assert queues_of(chains.answer(1, reply_queue="aim.x")) == [None, None, "aim.x"]
    assert queues_of(chains.answer(1, Stage.REPLY, "aim.x")) == ["aim.x"]
    assert queues_of(chains.answer(1, Stage.APOLOGISE, "aim.x")) == ["aim.x"]
    assert queues_of(chains.answer(1)) == [None, None, None]


def test_a_bot_has_a_queue_of_its_own_if_it_is_configured(configure: Configure) -> None:
    settings = configure(aim={"Mind Bot": BOT})
    assert reply_queue("aim", "Mind Bot") == "aim.Mind%20Bot"
    assert reply_queue("aim", "nobody") == "reply"
    assert reply_queue("dingtalk", "Mind Bot") == "reply"
    assert own_queues(settings) == {"aim.Mind%20Bot": ("aim", "Mind Bot")}


def test_intake_starts_a_chain_that_ends_there(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(aim={"default": BOT})
    started: list[str] = []
    monkeypatch.setattr(chains, "start", lambda _id, _stage, queue: started.append(queue))
    for platform in ("aim", "chat"):
        intake.receive([Message(platform, "default", "1", "c", "one_to_one", "u", "u", (Part("text", "x"),), {})])
    assert started == ["aim.default", "reply"]


def test_the_queue_is_known_to_every_process(tmp_path: Path) -> None:
    code = "import celeryconfig; print(*(queue.name for queue in celeryconfig.task_queues))"
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "MINDBOT_HOME": str(tmp_path),
        "AIM_USERNAME": "botname", "AIM_PASSWORD": "secret", "AIM_SERVER": "aim.example.org", "AIM_PORT": "5190",
    }  # fmt: skip
    told = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "aim.default" in told.stdout.split(), told.stderr
