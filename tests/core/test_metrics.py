"""The numbers of many processes become one page, also after some of them have died."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COUNT = "from mindbot_tasks.core import metrics as m; m.RETRIES.labels('generate', 'timeout').inc(); "
SHOW = "import sys; sys.stdout.buffer.write(m.render())"
RETRIES = 'mindbot_retries_total{kind="timeout",stage="generate"}'


def run(code: str, directory: Path | None) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    if directory:
        env["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True, text=True).stdout


def value(page: str, sample: str) -> float | None:
    found = [float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(sample + " ")]
    return found[0] if found else None


def test_one_process_shows_its_own_numbers() -> None:
    assert value(run(COUNT + SHOW, None), RETRIES) == 1


def test_counts_of_dead_processes_stay_in_the_sum_however_often_the_page_is_asked_for(tmp_path: Path) -> None:
    for _ in range(3):
        run(COUNT, tmp_path)
    assert value(run(COUNT + SHOW, tmp_path), RETRIES) == 4
    assert value(run(COUNT + SHOW + ";" + SHOW, tmp_path), RETRIES) == 5
    assert value(run("from mindbot_tasks.core import metrics as m;" + SHOW, tmp_path), RETRIES) == 5


def test_files_of_dead_processes_do_not_pile_up(tmp_path: Path) -> None:
    for _ in range(4):
        run(COUNT + "m.STAGE_SECONDS.labels('reply', 'ok').observe(1); m.BUDGET_USED.labels('a', 'b').set(1)", tmp_path)
    page = run("from mindbot_tasks.core import metrics as m;" + SHOW, tmp_path)
    assert value(page, 'mindbot_stage_seconds_count{outcome="ok",stage="reply"}') == 4
    assert "mindbot_budget_used_ratio{" not in page
    left = {path.name for path in tmp_path.glob("*.db")}
    assert {"counter_0.db", "histogram_0.db"} <= left
    assert len(left) <= 5  # the sums, and the files of the process that has just ended


def test_a_half_written_file_of_a_killed_process_does_not_break_the_page(tmp_path: Path) -> None:
    run(COUNT, tmp_path)
    (tmp_path / "counter_999999999.db").write_bytes(b"\xff\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x00garbage")
    assert value(run(COUNT + SHOW, tmp_path), RETRIES) == 2
