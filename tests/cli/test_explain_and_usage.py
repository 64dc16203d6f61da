"""`mindbot explain` and `mindbot usage`: who would be asked, and what answers have cost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from mindbot_tasks.cli import main
from mindbot_tasks.core.settings.known_models import Price
from mindbot_tasks.stores import spending, usage
from mindbot_tasks.stores.database import open_engine, reading, transaction
from mindbot_tasks.stores.spending import Call, Whose
from mindbot_tasks.stores.usage import Used
from tests.cli.test_doctor import Choose, choose
from tests.midnight import one_day

__all__ = ["choose", "one_day"]

CONFIGURATION = """
language: en
redis_url: redis://127.0.0.1:1/0
providers:
  openai: {api_key: k, models: [{name: m, input_price: 2, output_price: 8}]}
  deepseek: {api_key: k, models: [m]}
  google: {models: [m]}
workflows:
  code_analysis: {dify_endpoint: "http://127.0.0.1:9/v1", dify_api_key: k, task_patterns: ['code|debug']}
  general_chat: {dify_endpoint: "http://127.0.0.1:9/v1", dify_api_key: k}
"""


def test_explain_says_what_kind_it_is_and_who_is_asked(choose: Choose, tmp_path: Path) -> None:
    choose(CONFIGURATION)
    result = CliRunner().invoke(main, ["explain", "please debug my code", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output[result.output.index("{") :])
    assert told["label"] == "code_analysis"
    assert told["reason"].startswith("pattern: debug, code")
    asked = [row["answerer"] for row in told["order"]]
    assert asked == ["workflow:code_analysis", "provider:openai", "provider:deepseek", "workflow:general_chat"]
    assert "providers.google" in told["off"]
    plain = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["explain", "please debug my code"])
    assert plain.exit_code == 0
    for words in ("code_analysis", "the workflow of this kind", "the general workflow", "providers.google"):
        assert words in " ".join(plain.output.split())


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def spend(engine: Engine, user: str = "user01", days_ago: int = 0, **fields: Any) -> None:
    call = {"provider": "openai", "model": "m", "input_tokens": 100, "output_tokens": 10, "took_ms": 1000} | fields
    day = spending.today(time.time() - 86_400 * days_ago)
    with transaction(engine) as connection, pytest.MonkeyPatch.context() as patched:
        patched.setattr(spending, "today", lambda *_: day)
        spending.write(connection, [Call(**call)], Whose("chat", "default", user))


@pytest.mark.usefixtures("one_day")
def test_calls_are_added_up_in_groups_and_in_time(engine: Engine) -> None:
    spend(engine)
    spend(engine, input_tokens=300, took_ms=3000, price=Price(2, 8))
    spend(engine, ok=False, input_tokens=0, output_tokens=0)
    spend(engine, purpose="summary")
    spend(engine, "user02", provider="dify", model="", workflow="general_chat")
    spend(engine, days_ago=9)
    with reading(engine) as connection:
        by_user = usage.used(connection, ("user",), window_s=7 * 86_400)
        by_day = usage.used(connection, ("day", "workflow"), window_s=30 * 86_400)
        of_one = usage.used(connection, (), whose=Whose("chat", "default", "user02"))
        of_nobody = usage.used(connection, (), whose=Whose("chat", "default", "user03"))
    assert by_user == [
        Used(("user01",), 2, 4, 1, 500, 30, 680_000, 2, 6000),
        Used(("user02",), 1, 1, 0, 100, 10, 0, 1, 1000),
    ]
    assert [one.calls for one in by_day] == [1, 4, 1]
    assert [(one.calls, one.mean_ms) for one in of_one] == [(1, 1000)]
    assert of_nobody == []


@pytest.mark.usefixtures("one_day")
def test_the_command_shows_cost_budgets_and_what_is_left(choose: Choose, sqlite_url: str) -> None:
    choose(
        CONFIGURATION
        + f"""
database_url: {sqlite_url}
budgets: {{currency: CNY, installation: {{cost: 2}}, user: {{tokens: 100}}}}
chat: {{secrets: [whsec_Y2FuYXJ5c2VjcmV0MDEyMzQ1Njc4OWNoYXQ=], callback_url: "http://127.0.0.1:9"}}
"""
    )
    engine = open_engine(sqlite_url)
    spend(engine, price=Price(10_000, 0))
    engine.dispose()
    shown = CliRunner().invoke(main, ["usage", "--by", "user"])
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.output.split())
    for part in ("user01", "1.00 CNY of 2.00 CNY", "50%", "110 of 100 tokens", "refuses"):
        assert part in words
    told = json.loads(CliRunner().invoke(main, ["usage", "--json"]).output)
    assert told["usage"][0] | {"provider": "openai", "cost": 1.0, "calls": 1, "unpriced_calls": 0} == told["usage"][0]
    assert {(one["scope"], one["level"]) for one in told["budgets"]} == {("installation", ""), ("user", "hard")}
