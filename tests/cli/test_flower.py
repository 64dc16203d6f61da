"""`mindbot flower`: nobody gets in without the login, nobody changes anything, no person's words are shown."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from mindbot_tasks.cli.flower import flower_environment, format_task
from mindbot_tasks.core.errors import SettingsError


def test_a_login_is_made_up_once_and_kept_private(tmp_path: Path) -> None:
    first = flower_environment({}, tmp_path, "127.0.0.1", 5555)
    user, _, password = first["FLOWER_BASIC_AUTH"].partition(":")
    assert user == "mindbot"
    assert len(password) >= 20
    assert "," not in password  # Flower would read two logins
    assert stat.S_IMODE((tmp_path / "flower.auth").stat().st_mode) == 0o600
    assert flower_environment({}, tmp_path, "127.0.0.1", 5555) == first
    assert first["FLOWER_READ_ONLY"] == "true"


def test_a_login_of_the_operator_is_left_alone(tmp_path: Path) -> None:
    made = flower_environment({"FLOWER_BASIC_AUTH": "me:mine"}, tmp_path, "0.0.0.0", 5555)
    assert "FLOWER_BASIC_AUTH" not in made
    assert not (tmp_path / "flower.auth").exists()


def test_without_a_login_only_loopback_is_served(tmp_path: Path) -> None:
    assert "FLOWER_BASIC_AUTH" not in flower_environment({"FLOWER_BASIC_AUTH": ""}, tmp_path, "127.0.0.1", 5555)
    for address in ("0.0.0.0", "", "10.0.0.7"):
        with pytest.raises(SettingsError, match="loopback"):
            flower_environment({"FLOWER_BASIC_AUTH": ""}, tmp_path, address, 5555)


def test_ids_are_shown_and_words_are_not() -> None:
    task = SimpleNamespace(
        args="(17,)", kwargs="{}", result="the answer to your question", exception="ValueError('hello')", traceback=None
    )
    shown = format_task(task)
    assert shown.args == "(17,)"
    assert shown.result == "..."
    assert shown.exception == "..."
    assert shown.traceback is None
    assert format_task(SimpleNamespace(args="x" * 100)).args == "..."
