"""`mindbot explain` and `mindbot usage`: who would be asked, and what answers have cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, insert

from mindbot_tasks.cli import main
from mindbot_tasks.cli.usage import totals
from mindbot_tasks.core.settings import ModelSettings, ProviderSettings
from mindbot_tasks.stores import usage
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import open_engine, reading, transaction
from mindbot_tasks.stores.tables import AnswerRow
from mindbot_tasks.stores.usage import Used
from tests.cli.test_doctor import Choose, choose
from tests.stores.words import message, record

__all__ = ["choose"]

DAY_MS = 86_400_000
CONFIGURATION = """
language: en
providers:
  openai: {api_key: k, models: [{name: m, input_price: 2, output_price: 8}]}
  deepseek: {models: [m]}
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
    plain = CliRunner().invoke(main, ["explain", "please debug my code"])
    assert plain.exit_code == 0
    for words in ("code_analysis", "the workflow of this kind", "the general workflow", "providers.google"):
        assert words in " ".join(plain.output.split())


@pytest.fixture
def engine(database_url: str) -> Engine:
    return open_engine(database_url)


def answer(engine: Engine, *, sender: str = "user01", days_ago: int = 0, **values: object) -> None:
    message_id = record(engine, message(sender_id=sender)).message_id
    given = {
        "text": "", "parts": [], "provider": "openai", "model": "m", "workflow": "", "input_tokens": 100,
        "output_tokens": 10, "latency_ms": 1000, "first_token_ms": None, "details": {},
    } | values  # fmt: skip
    with transaction(engine) as connection:
        created_at = DB_NOW - days_ago * DAY_MS
        connection.execute(insert(AnswerRow).values(message_id=message_id, **given, created_at=created_at))


def test_tokens_are_added_up_in_groups_and_in_time(engine: Engine) -> None:
    answer(engine)
    answer(engine, input_tokens=300, latency_ms=3000)
    answer(engine, sender="user02", provider="dify", model="", workflow="general_chat")
    answer(engine, days_ago=9)
    with reading(engine) as connection:
        by_user = usage.used(connection, ("user",), window_ms=7 * DAY_MS)
        by_day = usage.used(connection, ("day", "workflow"), window_ms=30 * DAY_MS)
    assert by_user == [
        Used(("user01",), "openai", "m", 2, 400, 20, 2000),
        Used(("user02",), "dify", "", 1, 100, 10, 1000),
    ]
    assert [one.answers for one in by_day] == [1, 1, 2] or [one.answers for one in by_day] == [1, 2, 1]
    assert len({one.keys[0] for one in by_day}) == 2
    engine.dispose()


def test_cost_is_told_where_there_is_a_price_and_only_there() -> None:
    priced = ModelSettings(name="m", input_price=2, output_price=8)
    providers = {"openai": ProviderSettings(models=[priced, ModelSettings(name="n")])}
    found = [
        Used(("a",), "openai", "m", 2, 1_000_000, 500_000, 100),
        Used(("a",), "openai", "n", 3, 10, 0, 100),
        Used(("b",), "offline", "", 5, 0, 0, 1),
    ]
    lines = totals(found, providers)
    assert (lines[("a",)].cost, lines[("a",)].unpriced, lines[("a",)].answers) == (6.0, 3, 5)
    assert (lines[("b",)].cost, lines[("b",)].unpriced) == (0.0, 0)
