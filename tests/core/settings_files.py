"""Writes a configuration into a directory and loads it, away from this machine's environment."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from mindbot_tasks.core.settings import InvalidSettings, Problem, Settings
from mindbot_tasks.core.settings.load import load

VOCABULARY = Path(__file__).parents[1] / "vocabulary"


class Files:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, text: str | None = None, **env: str) -> Settings:
        """The settings of this YAML with exactly these variables."""
        return self.load_env(text, env)

    def load_env(self, text: str | None, env: Mapping[str, str]) -> Settings:
        if text is not None:
            (self.folder / "mindbot.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        return load(environ=env)

    def problems(self, text: str, **env: str) -> tuple[Problem, ...]:
        with pytest.raises(InvalidSettings) as caught:
            self.load(text, **env)
        return caught.value.problems

    def problem(self, text: str, **env: str) -> str:
        """The only problem, as people read it."""
        (problem,) = self.problems(text, **env)
        return problem.text()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.chdir(tmp_path)
    return Files(tmp_path)
