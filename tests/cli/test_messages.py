"""`mindbot messages`, `mindbot replay` and `mindbot db`, on a real ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from mindbot_tasks import chains
from mindbot_tasks.cli import main
from mindbot_tasks.core.settings import Settings, TelemetrySettings, get_settings, reset_settings
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.stores import inbox, steps
from mindbot_tasks.stores.database import forget_engine, get_engine, transaction
from tests.stores.words import ANSWER, GENERAL, message, must_claim, record, worker


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever `database_url` or `empty_database_url` says is the database of this process."""
    yield
    forget_engine(close=True)
    reset_settings()
    inbox.forget_known()


def _settle(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_engine()
    reset_settings()
    inbox.forget_known()
    settings = Settings(database_url=SecretStr(url))
    monkeypatch.setattr("mindbot_tasks.core.settings.load.load", lambda *_, **__: settings)


@pytest.fixture
def ledger(use: None, database_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """One answered message of Ann's, one of Ben's that still waits, on two platforms."""
    _settle(database_url, monkeypatch)
    engine = get_engine()
    done = record(engine, message("a", conversation="hers", text="how are [you]?", sender_id="ann")).message_id
    by = worker(engine)
    held = must_claim(engine, done, Stage.CLASSIFY, by)
    with transaction() as connection:
        steps.save_classification(connection, held, GENERAL)
    held = must_claim(engine, done, Stage.GENERATE, by)
    with transaction() as connection:
        steps.save_answer(connection, held, ANSWER)
    held = must_claim(engine, done, Stage.REPLY, by)
    with transaction() as connection:
        steps.finish(connection, held, State.REPLIED, sent_parts=1, sent_id="sent-17")
    open_ = record(engine, message("b", conversation="his", platform="dingtalk", text="你好", sender_id="ben"))
    return {"done": done, "open": open_.message_id}


def test_a_database_without_tables_names_the_command_that_makes_them(
    use: None, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _settle(empty_database_url, monkeypatch)
    result = CliRunner().invoke(main, ["messages"])
    assert result.exit_code == 1
    assert result.stderr.endswith("create or upgrade them: mindbot db upgrade\n")


def test_a_file_that_is_no_database_is_called_that(use: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mindbot.db").write_bytes(b"something else " * 1000)
    _settle(f"sqlite:///{tmp_path / 'mindbot.db'}", monkeypatch)
    result = CliRunner().invoke(main, ["messages"])
    assert result.exit_code == 1
    why = "mindbot: the database cannot be used (file is not a database); `mindbot doctor` says more\n"
    assert result.stderr == why


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Stage]]:
    found: list[tuple[int, Stage]] = []

    def start(message_id: int, stage: Stage = Stage.CLASSIFY, reply_queue: str = "") -> bool:
        found.append((message_id, stage))
        return True

    monkeypatch.setattr(chains, "start", start)
    return found


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def listed(*options: str) -> list[int]:
    lines = run("messages", "--json", *options).stdout.splitlines()
    return [json.loads(line)["id"] for line in lines]


def test_messages_are_listed_newest_first(ledger: dict[str, int]) -> None:
    assert listed() == [ledger["open"], ledger["done"]]
    words = run("messages").output
    assert "你好" in words
    assert "replied" in words


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--state", "replied"], ["done"]),
        (["--platform", "dingtalk"], ["open"]),
        (["--bot", "default"], ["open", "done"]),
        (["--bot", "other"], []),
        (["--conversation", "hers"], ["done"]),
        (["--sender", "ben"], ["open"]),
        (["--unfinished"], ["open"]),
        (["--since", "1h"], ["open", "done"]),
        (["--limit", "1"], ["open"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_list_holds_what_was_asked_for(ledger: dict[str, int], options: list[str], names: list[str]) -> None:
    assert listed(*options) == [ledger[name] for name in names]


def test_a_list_goes_on_where_a_page_ended(ledger: dict[str, int]) -> None:
    assert listed("--before", str(ledger["open"])) == [ledger["done"]]


@pytest.mark.parametrize("wrong", [["--since", "yesterday"], ["--state", "lost"], ["--limit", "0"]])
def test_a_wrong_wish_is_a_clear_error(ledger: dict[str, int], wrong: list[str]) -> None:
    assert wrong[0] in run("messages", *wrong, code=2).output


def test_one_message_is_shown_with_its_whole_way(ledger: dict[str, int]) -> None:
    told = json.loads(run("messages", "show", ledger["done"], "--json").stdout)
    assert told["message"]["text"] == "how are [you]?"
    assert told["answer"]["text"] == ANSWER.text
    assert told["events"][0]["step"] == "received"
    assert told["events"][-1]["step"] == "replied"
    assert [sent["external_id"] for sent in told["sends"]] == ["sent-17"]
    words = run("messages", "show", ledger["done"]).output
    for part in ("how are [you]?", ANSWER.text, "general_chat", "sent-17", "ann"):
        assert part in words, part


def test_the_trace_of_a_message_is_named_where_there_is_one(
    ledger: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(run("messages", "show", ledger["done"], "--json").stdout)["message"]["trace_id"] is None
    before = get_settings()
    traced = TelemetrySettings(enabled=True, view_url="http://jaeger:16686/trace")
    settings = Settings(database_url=before.database_url, telemetry=traced)
    monkeypatch.setattr("mindbot_tasks.core.settings.load.load", lambda *_, **__: settings)
    reset_settings()
    trace_id = json.loads(run("messages", "show", ledger["done"], "--json").stdout)["message"]["trace_id"]
    assert len(trace_id) == 32
    assert f"http://jaeger:16686/trace/{trace_id}" in run("messages", "show", ledger["done"]).output.replace("\n", "")


def test_a_message_that_does_not_exist_is_a_clear_error(ledger: dict[str, int]) -> None:
    assert "there is no message 4711" in run("messages", "show", 4711, code=1).output
    assert "there is no message 4711" in run("replay", 4711, code=1).output


def test_a_message_goes_through_again_from_any_stage(ledger: dict[str, int], started: list[tuple[int, Stage]]) -> None:
    run("replay", ledger["done"], "--from", "reply")
    assert started == [(ledger["done"], Stage.REPLY)]
    assert listed("--unfinished") == [ledger["open"], ledger["done"]]


def test_a_message_on_its_way_is_only_taken_by_force(ledger: dict[str, int], started: list[tuple[int, Stage]]) -> None:
    assert "--force" in run("replay", ledger["open"], code=1).output
    assert started == []
    run("replay", ledger["open"], "--force")
    assert started == [(ledger["open"], Stage.CLASSIFY)]


def test_without_a_broker_a_replay_is_left_to_the_sweeper(
    ledger: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "start", lambda *_, **__: False)
    assert "sweeper" in run("replay", ledger["done"]).output
    assert ledger["done"] in listed("--unfinished")


def test_an_empty_database_is_brought_up_to_date_once(
    use: None, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _settle(empty_database_url, monkeypatch)
    assert "empty -> revision" in run("db", "upgrade").output
    assert "already at revision" in run("db", "upgrade").output
    assert listed() == []


def test_a_database_that_is_not_there_is_one_clear_line(
    use: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _settle(f"sqlite:///{tmp_path}/no/such/folder/mindbot.db", monkeypatch)
    output = run("messages", code=1).output
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 1
