"""`mindbot workflows` and `/api/v1/workflows`: the figures of workflows, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, update

from mindbot_tasks.cli import main
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import open_engine, reading, transaction
from mindbot_tasks.stores.redis import get_redis
from mindbot_tasks.stores.tables import ConversationRow, MessageRow
from mindbot_tasks.stores.tables_routing import TallyRow, TransitionRow
from mindbot_tasks.stores.tallies import DAY_MS
from mindbot_tasks.stores.workers import database_time
from tests.cli.test_doctor import Choose, choose
from tests.stores.words import message, record

__all__ = ["choose"]

CONFIGURATION = """
language: en
database_url: %s
redis_url: %s
workflows:
  code_analysis:
    dify_endpoint: "http://127.0.0.1:9/v1"
    dify_api_key: k
    variants: {a: {}, b: {dify_api_key: k2, weight: 3}}
  data_analysis: {dify_endpoint: "http://127.0.0.1:9/v1", dify_api_key: k, suggestion: "Shall I draw a chart?"}
web: {api_keys: [an-api-key-for-tests]}
"""


@pytest.fixture
def told(choose: Choose, sqlite_url: str, redis_url: str) -> Iterator[None]:
    """Two variants that differ, and people who went on."""
    choose(CONFIGURATION % (sqlite_url, redis_url))
    get_redis.cache_clear()
    engine = open_engine(sqlite_url)
    with reading(engine) as connection:
        today = database_time(connection) // DAY_MS

    def tally(variant: str, answerer: str, answered: int, bucket: int, up: int) -> dict[str, Any]:
        return {
            "day": today, "answerer": answerer, "variant": variant, "asked": 100, "answered": answered, "skipped": 2,
            "recovered": 100 - answered, "unanswered": 0, "took_ms": answered * 1000, "took": {str(bucket): answered},
            "errors": {"timeout": 100 - answered}, "up": up, "down": 3, "reasked": 2,
        }  # fmt: skip

    with transaction(engine) as connection:
        connection.execute(insert(TallyRow), [
            tally("code_analysis/a", "workflow:code_analysis", 70, 102, 4),
            tally("code_analysis/b", "workflow:code_analysis/b", 98, 95, 40),
            tally("", "workflow:code_analysis", 100, 102, 0),
            tally("", "provider:openai", 90, 102, 0),
        ])  # fmt: skip
        connection.execute(insert(TransitionRow).values(
            day=today, platform="chat", bot="default", came_from="code_analysis", went_to="data_analysis", times=9
        ))  # fmt: skip
    message_id = record(engine, message(conversation="room")).message_id
    with transaction(engine) as connection:
        connection.execute(update(MessageRow).where(MessageRow.id == message_id).values(
            state="replied", finished_at=DB_NOW, label="code_analysis"
        ))  # fmt: skip
        assert connection.execute(ConversationRow.__table__.select()).first() is not None
    engine.dispose()
    yield
    get_redis.cache_clear()


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def as_json(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.mark.usefixtures("told")
def test_the_list_has_figures_and_what_was_never_asked() -> None:
    found = {one["name"]: one for one in as_json("workflows")}
    assert set(found) == {"code_analysis", "code_analysis/b", "data_analysis"}
    flow = found["code_analysis"]
    assert (flow["calls"], flow["answered"], flow["success"], flow["errors"]) == (200, 170, 0.85, {"timeout": 30})
    assert flow["p50_s"] == pytest.approx(1.0, rel=0.05)
    assert 0 < flow["satisfaction"] < 4 / 8
    assert (found["data_analysis"]["calls"], found["data_analysis"]["success"]) == (0, None)
    assert "openai" in str(as_json("workflows", "--all"))
    plain = run("workflows")
    assert plain.exit_code == 0
    assert "85.0%" in plain.output


@pytest.mark.usefixtures("told")
def test_one_is_shown_with_its_variants_and_what_comes_next() -> None:
    shown = as_json("workflows", "show", "code_analysis")
    assert [one["variant"] for one in shown["variants"]] == ["a", "b"]
    assert [one["workflow"] for one in shown["next"]] == ["data_analysis"]
    assert "data_analysis 100%" in run("workflows", "show", "code_analysis").output
    unknown = run("workflows", "show", "unheard of")
    assert unknown.exit_code == 1
    assert "known: " in unknown.output


@pytest.mark.usefixtures("told")
def test_variants_are_compared_with_a_verdict() -> None:
    told = as_json("workflows", "ab", "code_analysis")
    assert {one["variant"]: one["share"] for one in told["variants"]} == {"a": 0.25, "b": 0.75}
    assert {one["what"]: one["better"] for one in told["comparisons"]} == {
        "success": "b", "thumbs": "b", "latency": "b"
    }  # fmt: skip
    plain = run("workflows", "ab", "code_analysis")
    assert plain.exit_code == 0
    assert "b is better" in plain.output
    assert run("workflows", "ab", "data_analysis").exit_code == 1


@pytest.mark.usefixtures("told")
def test_programs_get_the_same_by_the_api(tmp_path: Path) -> None:
    from webhooks.app import create_app

    client = create_app(get_settings()).test_client()
    key = {"Authorization": "Bearer an-api-key-for-tests"}
    found = {one["name"]: one for one in client.get("/api/v1/workflows?days=2", headers=key).get_json()["workflows"]}
    assert found["code_analysis"]["success"] == 0.85
    next_ones = client.get("/api/v1/workflows/recommendations?conversation=room", headers=key).get_json()
    assert next_ones["label"] == "code_analysis"
    [one] = next_ones["recommendations"]
    assert (one["workflow"], one["suggestion"], one["times"]) == ("data_analysis", "Shall I draw a chart?", 9)
    nowhere = client.get("/api/v1/workflows/recommendations?conversation=else", headers=key).get_json()
    assert nowhere == {"label": None, "recommendations": []}
    assert client.get("/api/v1/workflows").status_code == 401
    page = client.get("/metrics").get_data(as_text=True)
    assert 'mindbot_workflow_success_ratio{workflow="code_analysis"} 0.85' in page
    assert 'mindbot_workflow_errors{kind="timeout",workflow="code_analysis"} 30.0' in page
    assert 'mindbot_workflow_demoted{workflow="code_analysis"} 0.0' in page


@pytest.mark.usefixtures("told")
def test_explain_says_which_variant_somebody_gets() -> None:
    seen = {as_json("explain", "anything", "--user", f"chat:u{n}")["routing"]["variant"] for n in range(2)}
    assert seen == {""}, "general chat has no variants"
    told = run("explain", "code", "--user", "chat:u1")
    assert told.exit_code == 0, told.output
