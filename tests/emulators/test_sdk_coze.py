"""Coze's own SDK against the emulator; it wants an older websockets than we do, so it has an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulators.running import running

SDK = "cozepy==0.20.0"
ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".venv-sdk"


@pytest.fixture(scope="module")
def python() -> Path:
    """Of the environment, made at the first time; without a network the test is left out, unless this is CI."""
    python = PLACE / "bin" / "python"
    done = PLACE / SDK
    if done.exists():
        return python
    shutil.rmtree(PLACE, ignore_errors=True)
    try:
        for command in ([sys.executable, "-m", "venv", PLACE], [python, "-m", "pip", "install", "-q", SDK]):
            subprocess.run(command, check=True, capture_output=True, timeout=180)
    except (subprocess.SubprocessError, OSError) as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{SDK} cannot be installed here ({type(exc).__name__})")
    done.touch()
    return python


@pytest.mark.timeout(400)
def test_the_sdk_of_coze_understands_the_emulator(python: Path) -> None:
    client = Path(__file__).with_name("coze_client.py")
    with running("coze", "--api-key", "pat_right", "--bot", "bot-1") as far:
        command = [python, "-W", "ignore", client, far.url]
        done = subprocess.run(command, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        told = json.loads(done.stdout)
    assert told["first"]["said"] == "You said: 早上好 world 🌍"
    assert told["first"]["tokens"] > 0
    assert told["second"]["conversation"] == told["first"]["conversation"]
    assert told["me"] == "emulated"
    assert (told["wrong_token"], told["wrong_bot"], told["wrong_conversation"]) == (4100, 4015, 4200)
    assert told["nothing_to_cancel"] == 4104
