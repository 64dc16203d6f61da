"""`mindbot tools`: the list with what is missing, and one call by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
providers:
  openai: {api_key: k, models: [m]}
agent:
  langchain: {tools: [calculator, time, web_search, files]}
  tools: {confirm: [write_file]}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mindbot.yaml").write_text(CONFIG)
    return tmp_path


def mindbot(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "LANG": "en_US.UTF-8", "REDIS_URL": "redis://127.0.0.1:9/0"}
    run = [sys.executable, "-m", "mindbot_tasks.cli", "tools", *words]
    return subprocess.run(run, cwd=place, env=environ, capture_output=True, text=True, check=False)


def test_the_list_says_what_asks_first_and_what_is_missing(place: Path) -> None:
    done = mindbot(place, "list", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.strip().splitlines()[-1])  # without Redis there is a warning before it
    assert {one["name"]: one["asks_first"] for one in told["tools"]} == {
        "calculator": False, "get_time": False, "list_files": False, "read_file": False, "write_file": True,
    }  # fmt: skip
    assert list(told["missing"]) == ["web_search"]


def test_one_tool_can_be_called(place: Path) -> None:
    done = mindbot(place, "test", "calculator", '{"expression": "6*7"}')
    assert (done.returncode, done.stdout.strip().splitlines()[-1]) == (0, "42"), done.stderr
    refused = mindbot(place, "test", "write_file", '{"name": "a", "content": "b"}')
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
