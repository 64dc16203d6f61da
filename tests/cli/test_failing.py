"""How commands fail, whatever is missing: one sentence on standard error and exit code 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(where: Path, *args: str, stdout: int = subprocess.PIPE, **env: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, in a directory where nothing was ever started."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **env}
    return subprocess.run(
        [sys.executable, "-m", "mindbot_tasks.cli", *args], cwd=where, env=env, stdout=stdout, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_the_output_is_one_sentence(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert last_words(run(tmp_path, "config", "check", stdout=full)) == "mindbot: No space left on device"
    finally:
        os.close(full)


def test_what_is_logged_meanwhile_stands_beside_the_output_and_not_in_it(tmp_path: Path) -> None:
    done = run(tmp_path, "explain", "hello", "--json", REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"]
    assert {json.loads(line)["event"] for line in done.stderr.splitlines()} >= {"performance_without_redis"}


def test_letters_that_the_terminal_cannot_show_do_no_harm(tmp_path: Path) -> None:
    done = run(tmp_path, "models", "--offline", PYTHONIOENCODING="ascii", LC_ALL="zh_CN.ASCII")
    assert done.returncode == 0, done.stderr
    assert "?" in done.stdout


def test_a_closed_output_does_no_harm(tmp_path: Path) -> None:
    closing = f"exec {sys.executable} -m mindbot_tasks.cli config check >&-"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    done = subprocess.run(["sh", "-c", closing], cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
