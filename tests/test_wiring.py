"""What holds the parts together are strings; here they are compared with what exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Task

import celeryconfig
from beat_schedule import BEAT_SCHEDULE
from mindbot_tasks.app import app
from mindbot_tasks.core.settings import Settings, at_rest
from mindbot_tasks.model.message import FINISHED, Stage, State, Verdict
from mindbot_tasks.stores.claims import next_stage
from mindbot_tasks.task import MindBotTask

ROOT = Path(__file__).parent.parent


def our_tasks() -> dict[str, Task]:
    app.loader.import_default_modules()
    return {name: task for name, task in app.tasks.items() if name.startswith("mindbot.")}


def test_routes_and_tasks_name_each_other() -> None:
    assert set(celeryconfig.task_routes) == set(our_tasks())


def test_every_route_leads_to_a_queue_that_exists() -> None:
    assert {route["queue"] for route in celeryconfig.task_routes.values()} <= set(celeryconfig.QUEUES)


def test_the_schedule_names_tasks_and_queues_that_exist() -> None:
    assert {entry["task"] for entry in BEAT_SCHEDULE.values()} <= set(our_tasks())
    assert {entry["options"].get("queue", "upkeep") for entry in BEAT_SCHEDULE.values()} <= set(celeryconfig.QUEUES)


def test_whatever_is_left_out_of_the_schedule_at_rest_stands_in_it() -> None:
    assert set(at_rest._HAS_WORK) <= set(BEAT_SCHEDULE)


def test_beat_is_not_asked_for_what_is_not_configured() -> None:
    scheduled = {name for name in BEAT_SCHEDULE if at_rest.has_work(name, Settings())}
    assert {"sweep", "purge"} <= scheduled
    assert not scheduled & {"summarise", "tally", "tend", "learn", "probe", "judge", "escalate"}


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ({"alert_manager": {"enabled": True}}, {"probe", "judge", "escalate"}),
        ({"chromadb": {}}, {"tend"}),
        ({"providers": {"openai": {"api_key": "k"}}}, {"summarise", "tally"}),
        ({"workflows": {"code": {"dify_api_key": "k", "dify_endpoint": "http://dify"}}}, {"tally", "learn"}),
    ],
)
def test_beat_is_asked_for_what_is_configured(section: dict[str, Any], names: set[str]) -> None:
    assert all(at_rest.has_work(name, Settings(**section)) for name in names)


def test_the_schedule_is_found_with_nothing_of_ours_imported() -> None:
    code = "import beat_schedule, sys; sys.exit(any(name.startswith('mindbot_tasks') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_stage_of_a_message_is_a_task_of_its_own_name() -> None:
    stages = {task.stage: name for name, task in our_tasks().items() if task.stage is not None}
    assert stages == {stage: f"mindbot.{stage}" for stage in Stage}


def test_every_task_stands_in_its_own_module() -> None:
    assert {name: task.__module__ for name, task in our_tasks().items()} == {
        name: f"mindbot_tasks.{name.removeprefix('mindbot.')}" for name in our_tasks()
    }


@pytest.mark.parametrize("name", sorted(celeryconfig.task_routes))
def test_task_options_are_options_that_celery_or_we_know(name: str) -> None:
    """Celery takes any keyword, so a misspelt one would pass unseen."""
    task = our_tasks()[name]
    known = set(dir(MindBotTask)) | {option[0] for option in Task.from_config}
    known |= {
        "autoretry_for",
        "dont_autoretry_for",
        "retry_kwargs",
        "retry_backoff",
        "retry_backoff_max",
        "retry_jitter",
    }
    known |= {
        "run",
        "__wrapped__",
        "__header__",
        "_decorated",
        "_decorated_fun",
        "_orig_run",
        "__annotations__",
        "__trace__",
    }
    ours = {key for key in vars(type(task)) if not (key.startswith("__") and key.endswith("__"))}
    assert ours <= known


def test_only_errors_that_may_go_away_are_retried() -> None:
    for task in our_tasks().values():
        for error in getattr(task, "autoretry_for", ()):
            assert error.retryable


def test_every_state_has_a_stage_that_goes_on_or_is_an_end() -> None:
    for state in set(State) - FINISHED:
        assert next_stage(state, None) in Stage
        assert next_stage(state, Verdict.LATE) is Stage.APOLOGISE


def test_every_verdict_has_its_words_in_both_languages() -> None:
    from mindbot_tasks.chat.apologies import apology_for

    words = {apology_for(verdict, "", language) for verdict in Verdict for language in ("en", "zh")}
    assert len(words) == 2 * len(Verdict)


def test_the_web_process_loads_no_stage_and_no_model_library() -> None:
    heavy = ("langchain", "chromadb", "openai", "sklearn", "markdown_it", "mindbot_tasks.generate", "mindbot_tasks.llm")
    code = f"import webhooks.app, sys; print([m for m in sys.modules if m.startswith({heavy!r})])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
