"""`mindbot classifier`: measuring, explaining, correcting, training, and who is active afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from mindbot_tasks.chat.learned import current, examples
from mindbot_tasks.chat.learned.examples import Labelled
from mindbot_tasks.cli import main
from mindbot_tasks.core.settings import Settings, WorkflowSettings, reset_settings
from mindbot_tasks.stores import inbox, learning
from mindbot_tasks.stores.database import forget_engine, get_engine, reading
from tests.stores.words import message, record

ORDERS = [("where is my parcel", "track"), ("when does my order arrive", "track"), ("order status please", "track")]
SHIPPED = [one for one in examples.shipped() if one.label in ("general_chat", "creative_writing")][::12]


@pytest.fixture
def ledger(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        forget_engine(close=True)
        reset_settings()
        inbox.forget_known()
        current.forget()

    forget()
    settings = Settings(
        database_url=SecretStr(sqlite_url),
        language="en",
        workflows={name: WorkflowSettings() for name in ("track", "creative_writing", "general_chat")},
    )
    monkeypatch.setattr("mindbot_tasks.core.settings.load.load", lambda *_, **__: settings)
    yield
    forget()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["classifier", *arguments])


def labelled(path: Path, pairs: list[tuple[str, str]]) -> str:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in pairs))
    return str(path)


def test_eval_tells_accuracy_f1_and_what_was_taken_for_what(ledger: None, tmp_path: Path) -> None:
    pairs = [("write a poem", "creative_writing"), ("你好", "general_chat"), ("hello", "creative_writing")]
    file = labelled(tmp_path / "some.jsonl", pairs)
    told = json.loads(run("eval", "--file", file, "--json").output)
    assert (told["all"]["accuracy"], told["zh"]["accuracy"], told["en"]["accuracy"]) == (0.6667, 1.0, 0.5)
    assert {"label": "creative_writing", "taken_for": "general_chat", "count": 1} in told["en"]["confusion"]
    assert 0 < told["median_ms"] < 1000
    shown = run("eval", "--file", file, "--wrong")
    assert shown.exit_code == 0, shown.output
    for words in ("66.7%", "patterns alone", "creative_writing -> general_chat", "median"):
        assert words in shown.output


def test_eval_tells_where_a_file_is_wrong(ledger: None, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"text": "a", "label": "b"}\n{"text": "a"}\n')
    result = run("eval", "--file", str(file))
    assert (result.exit_code, f"{file}:2: 'label'" in result.output) == (1, True)
    assert run("eval", "--file", str(tmp_path / "none.jsonl")).exit_code == 1


def test_explain_tells_what_counted(ledger: None) -> None:
    told = json.loads(run("explain", "make it shorter", "--after", "creative_writing", "--json").output)
    assert (told["label"], told["context"]["label"]) == ("creative_writing", "creative_writing")
    assert told["learned"]["follow_up"] > 0.5
    shown = run("explain", "write a poem about rain")
    assert shown.exit_code == 0, shown.output
    assert "no conversation before it" in shown.output


def test_a_correction_is_listed_and_can_be_kept_as_a_file(ledger: None) -> None:
    number = str(record(get_engine(), message(text="where is my parcel")).message_id)
    assert run("correct", number, "track").exit_code == 0
    assert "no label 'nonsense'" in run("correct", number, "nonsense").output
    assert "no message 99" in run("correct", "99", "track").output
    assert json.loads(run("list", "--examples").output)["label"] == "track"
    shown = run("list").output
    assert "where is my parcel" in shown
    assert "correction" in shown


def _shipped() -> list[Labelled]:
    return SHIPPED


def test_training_learns_a_new_workflow_and_activates_only_what_is_better(
    ledger: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "shipped", _shipped)
    monkeypatch.setattr(examples, "held_out", lambda: SHIPPED[::3])
    pairs = [(f"{text} {number}", label) for number in range(100, 110) for text, label in ORDERS]
    file = labelled(tmp_path / "orders.jsonl", pairs)
    first = run("train", "--file", file)
    assert first.exit_code == 0, first.output
    assert "version 1 is better and active now" in first.output
    assert "held-out examples, version 0 (in use)" in first.output
    with reading() as connection:
        assert learning.active_version(connection) == 1
    assert json.loads(run("explain", "order status please 115", "--json").output)["label"] == "track"
    again = run("train", "--file", file)
    assert "version 2 was kept but is not better, so version 1 stays active" in again.output
    assert run("activate", "2").exit_code == 0
    assert run("activate", "shipped").exit_code == 0
    assert run("activate", "7").exit_code == 1
    with reading() as connection:
        assert learning.active_version(connection) == 0


def test_nothing_that_workers_load_brings_scikit_learn_along() -> None:
    import subprocess
    import sys

    loads = "import sys, mindbot_tasks.chat.classification as c; c.current.shipped(); import mindbot_tasks.learn"
    check = "assert not {'sklearn', 'numpy', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{loads}; {check}"], check=True)
