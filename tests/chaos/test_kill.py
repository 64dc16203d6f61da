"""While processes are killed, no message is lost, doubled or out of order; without the sweeper the checker says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos import checker, report, trial
from tests.chaos.trial import Database, Settings
from tests.slack import at_most

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(580)]

#: another one can be tried without touching the file; a failure names it
SEED = int(os.environ.get("CHAOS_SEED", "20261121"))


def all_is_kept(database: Database, folder: Path, database_url: str | None = None) -> None:
    settings = Settings(
        database=database, messages=600, rate=16, kills=12, seed=SEED, drain_s=120.0,
        restart_p99_s=at_most(checker.RESTART_P99_S),
    )  # fmt: skip
    verdict = trial.run(settings, folder, database_url)
    assert verdict.failures == {}, (folder / "report.txt").read_text(encoding="utf-8")
    assert verdict.counts["kills"] == 12
    assert any(not restart.disturbed for restart in verdict.restarts)
    assert verdict.counts["messages"] == verdict.counts["acknowledged"] >= 600


def test_nothing_is_lost_doubled_or_out_of_order_on_sqlite_whatever_is_killed(tmp_path: Path) -> None:
    all_is_kept("sqlite", tmp_path)


@pytest.mark.postgres
def test_nothing_is_lost_doubled_or_out_of_order_on_postgresql_whatever_is_killed(
    empty_postgresql_url: str, tmp_path: Path
) -> None:
    all_is_kept("postgresql", tmp_path, empty_postgresql_url)


def test_without_the_sweeper_the_checker_finds_lost_messages(tmp_path: Path) -> None:
    settings = Settings(
        messages=300, rate=12, kills=3, seed=SEED, drain_s=16, sweeper=False, platforms=("dingtalk",)
    )  # fmt: skip
    verdict = trial.run(settings, tmp_path)
    assert verdict.lost, report.table(trial.logs_in(tmp_path).read(), verdict)
