"""`mindbot demo` for real, and what the other commands say about the MindBot that it keeps running."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mindbot_tasks.cli.demo.doors import Exchange, wait_for_answers
from mindbot_tasks.cli.demo.stack import DemoFailed
from mindbot_tasks.cli.demo.transcript import transcript
from mindbot_tasks.cli.stage_times import StageTime, stage_times
from mindbot_tasks.cli.supervision.banner import wide
from tests.cli.kept_demo import (
    ROOT,
    KeptDemo,
    descendants,
    interrupt,
    is_alive,
    kept_demo,
    start_demo,
    wait_for,
)


@pytest.fixture(scope="module")
def running_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], KeptDemo]]:
    with ExitStack() as held:
        demos: list[KeptDemo] = []

        def running() -> KeptDemo:
            if not demos or demos[-1].process.poll() is not None:
                demos.append(held.enter_context(kept_demo(tmp_path_factory.mktemp("demo"))))
            return demos[-1]

        yield running


@pytest.fixture
def demo(running_demo: Callable[[], KeptDemo]) -> KeptDemo:
    """The one that all tests share; another one when a test has ended it."""
    return running_demo()


pytestmark = pytest.mark.timeout(400)

#: so that the demo is still starting when it is interrupted, however long that takes
WEB_HANGS = """
import sys, time
if any("gunicorn" in word for word in sys.orig_argv):
    time.sleep(600)
"""


def test_every_door_gets_its_answer_by_its_own_way(demo: KeptDemo) -> None:
    assert demo.transcript["ok"] is True
    told = {message["door"]: message for message in demo.transcript["messages"]}
    assert set(told) == {"dingtalk_person", "dingtalk_group", "wecom_member", "chat_fetch", "chat_callback"}
    for message in told.values():
        assert f"You said: {message['question']}" in message["answer"]
        assert message["state"] == "replied"
        assert [stage["stage"] for stage in message["stages"]] == ["classify", "generate", "reply"]
        assert message["total_ms"] >= sum(stage["took_ms"] for stage in message["stages"])
    assert told["dingtalk_group"]["answer"].startswith("@user-")


def test_two_workflows_and_a_model_answer(demo: KeptDemo) -> None:
    by = {message["door"]: message["answered_by"] for message in demo.transcript["messages"]}
    assert by["dingtalk_person"]["workflow"] == "code_analysis"
    assert by["dingtalk_group"]["workflow"] == "translation"
    assert by["chat_fetch"] == {"workflow": "", "provider": "demo", "model": "demo-model"}


def test_ask_gets_an_answer_through_the_playground_and_through_a_bot(demo: KeptDemo) -> None:
    by_stream = demo.run("ask", "hello there")
    assert (by_stream.returncode, by_stream.stdout) == (0, "You said: hello there\n"), by_stream.stderr
    for stage in ("classify", "generate", "reply"):
        assert stage in by_stream.stderr
    assert "model demo-model (demo)" in by_stream.stderr
    by_bot = demo.run("ask", "--bot", "fetch", "--json", "python?")
    assert json.loads(by_bot.stdout)["answer"]["workflow"] == "code_analysis"


def test_ask_works_without_an_api_key_and_in_one_conversation(demo: KeptDemo) -> None:
    without_key = {"MINDBOT_WEB__API_KEYS": "[]"}
    for text in ("first", "second"):
        done = demo.run("ask", "--conversation", "one", text, **without_key)
        assert (done.returncode, done.stdout) == (0, f"You said: {text}\n"), done.stderr
    listed = demo.run("messages", "--conversation", "one", "--json").stdout.splitlines()
    assert [json.loads(line)["text"] for line in listed] == ["second", "first"]


def test_a_list_of_messages_fits_into_80_columns_and_cuts_nothing_but_the_text(demo: KeptDemo) -> None:
    lines = demo.run("messages").stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    row = next(line for line in lines if line.startswith("2 "))
    assert row.split()[2:5] == ["dingtalk", "replied", "translation"]
    shown = demo.run("messages", "show", "2").stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "generate:started" in shown
    assert "worker_generate" in shown
    assert "编号" in demo.run("messages", LC_ALL="zh_CN.UTF-8").stdout


def test_the_doctor_finds_nothing_wrong_with_the_demo(demo: KeptDemo) -> None:
    done = demo.run("doctor", "--json")
    told = {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0, done.stdout
    for what in ("database", "redis", "sweeper", "queue generate", "dingtalk", "chat.fetch", "providers.demo",
                 "workflows.code_analysis", "workflows.translation", "clock"):  # fmt: skip
        assert told[what]["level"] == "ok", told[what]


def test_tune_sees_the_slots_of_the_running_workers(demo: KeptDemo) -> None:
    told = json.loads(demo.run("tune", "--json", "--assume-rate", "10").stdout)
    generate = next(stage for stage in told["stages"] if stage["stage"] == "generate")
    assert generate["measured"] >= 4
    assert generate["current"] == 4
    assert generate["busy"] == pytest.approx(10 * generate["mean_s"])
    assert {advice["variable"] for advice in told["advice"]} == {"FAST_CONCURRENCY", "GENERATE_CONCURRENCY"}


def test_ctrl_c_ends_everything_and_the_folder_is_gone(demo: KeptDemo) -> None:
    children = descendants(demo.process)
    assert len(children) >= 9  # three emulators, the supervisor, Redis, web, three workers, beat
    assert interrupt(demo.process) == 0
    assert not [child for child in children if is_alive(child)]
    assert not demo.folder.exists()


def test_ctrl_c_while_it_starts_leaves_nothing_and_what_is_yours_stays_untouched(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "mindbot.yaml").write_text("this: is not a valid configuration\n")
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:////nowhere/mine.db\n")
    hanging = tmp_path_factory.mktemp("hanging")
    (hanging / "sitecustomize.py").write_text(WEB_HANGS)
    before = sorted(path.name for path in tmp_path.iterdir())
    process = start_demo(
        tmp_path, MINDBOT_HOME=str(tmp_path / "mine"), REDIS_URL="redis://127.0.0.1:1/0",
        PYTHONPATH=f"{ROOT}{os.pathsep}{hanging}",
    )  # fmt: skip
    wait_for(process, tmp_path, "waiting for: the web process")
    children = descendants(process)
    assert interrupt(process) == 130
    assert "stopping everything" in (tmp_path / "err").read_text()
    assert not [child for child in children if is_alive(child)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "err", "out"])
    assert (tmp_path / "out").read_text() == ""


class _Silent:
    """A door whose answer never comes."""

    def __init__(self, view: dict[str, object]) -> None:
        self.exchange = Exchange("chat_callback", "/webhooks/chat/callback", "crm", "?", view=view)

    def send(self) -> None:
        """Nothing to do."""

    def look(self) -> None:
        """There is nothing to see."""


def test_an_answer_that_does_not_come_is_named_with_how_far_its_message_came() -> None:
    door = _Silent({"state": "classified", "error": "workflow:x: unavailable"})
    with pytest.raises(DemoFailed, match=r"by callback \(classified: workflow:x: unavailable\)"):
        wait_for_answers(None, [door], "en", patience_s=0)  # type: ignore[arg-type]


def test_a_message_that_ended_without_an_answer_is_not_waited_for() -> None:
    door = _Silent({"id": 7, "finished": True, "state": "apologised", "error": "all failed"})
    with pytest.raises(DemoFailed, match=r"message 7 ended as apologised .*all failed"):
        wait_for_answers(None, [door], "en", patience_s=60)  # type: ignore[arg-type]


def test_stages_that_were_tried_again_count_all_their_tries() -> None:
    steps = [("received", 0), ("generate:started", 10), ("generate:retry", 200), ("restarted:generate", 1000)]
    steps += [("generate:started", 5), ("answered", 300), ("reply:started", 2), ("part_sent", 40), ("replied", 20)]
    assert stage_times(steps) == [StageTime("generate", 1015, 500), StageTime("reply", 2, 60)]


@pytest.mark.parametrize("text", ["words and words " * 20, "三楼的打印机又卡纸了。" * 20])
def test_a_transcript_fits_into_80_columns_in_both_languages(text: str) -> None:
    answer = {"workflow": "w", "provider": "dify", "model": "", "first_token_ms": 3, "latency_ms": 5}
    found = {"label": "w", "confidence": 0.5, "reason": "pattern: w"}
    view = {"classification": found, "answer": answer, "timeline": []}
    exchange = Exchange("chat_fetch", "/webhooks/chat/fetch", "crm", text, answer=text, view=view)
    for lang in ("en", "zh"):
        lines = transcript([exchange], lang).splitlines()
        assert max(wide(line) for line in lines) <= 80
        assert sum(line.count(text.split()[0][:5]) for line in lines) >= 30
