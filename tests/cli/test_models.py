"""`mindbot models`: what is configured, what is served, and which keys rest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from emulators.running import running
from mindbot_tasks.cli import main
from tests.cli.test_doctor import Choose, choose

__all__ = ["choose"]


def told(*arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(main, ["models", "--json", *arguments])
    return result.exit_code, json.loads(result.output[result.output.index("{") :])


def test_each_model_is_looked_up_in_the_list_of_its_provider(choose: Choose) -> None:
    soon = datetime.now(UTC).date() + timedelta(days=10)
    with running("openai", "--model", "one", "--model", "two", "--shutdown", f"two={soon}") as far:
        choose(f"""
language: en
providers:
  mine: {{type: openai, base_url: "{far.url}/v1", api_key: k, models: [one, two, three]}}
""")
        code, found = told()
        plain = CliRunner().invoke(main, ["models", "--all"], env={"COLUMNS": "200"})
    assert code == plain.exit_code == 1
    assert [(one["model"], one["state"], one["shutdown"]) for one in found["models"]] == [
        ("one", "served", None), ("two", "served", soon.isoformat()), ("three", "missing", None),
    ]  # fmt: skip
    assert f"served until {soon}" in plain.output
    assert "mine: one, two" in plain.output


def test_without_asking_old_names_are_known(choose: Choose) -> None:
    choose("language: en\nproviders: {openai: {api_key: k, models: [gpt-4, gpt-6-luna]}}")
    code, found = told("--offline")
    assert code == 1
    assert [one["state"] for one in found["models"]] == ["gone", "unknown"]
    assert found["models"][0]["instead"]
    assert found["models"][1]["input_price"] == 0.1
    assert "no longer served; use for example" in CliRunner().invoke(
        main, ["models", "--offline"], env={"COLUMNS": "200"}
    ).output  # fmt: skip


def test_a_provider_that_does_not_answer_is_no_reason_to_fail(choose: Choose) -> None:
    choose('providers: {mine: {type: openai, base_url: "http://127.0.0.1:9/v1", models: [m]}}')
    code, found = told()
    assert code == 0
    assert found["models"][0]["state"] == "unknown"
    assert "connect" in found["providers"][0]["problem"]


def test_an_unknown_provider_is_a_wrong_parameter(choose: Choose) -> None:
    choose("providers: {openai: {api_key: k, models: [m]}}")
    assert CliRunner().invoke(main, ["models", "--provider", "opnai"]).exit_code == 2


@pytest.mark.parametrize("key", ["sk-aaaaaaaaaaaaaaaa0001"])
def test_keys_are_told_by_their_ends(choose: Choose, key: str) -> None:
    choose(f"language: en\nproviders: {{openai: {{api_key: [{key}, other], models: [m]}}}}")
    _, found = told("--offline")
    assert [one["key"] for one in found["providers"][0]["keys"]] == ["#1 (...0001)", "#2"]
    assert key not in json.dumps(found)
